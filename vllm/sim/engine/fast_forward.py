"""Fast-forward: a stretch of decode steps, scheduled in one call.

While every running request decodes and nobody comes or goes, vLLM's scheduler decides the same
in each step: one token more for each. Such a stretch is asked for at once, through the door that
draft tokens come in by: given n - 1 drafts a request, the scheduler gives each n tokens and the
blocks for them, and takes n tokens back. Nothing of vLLM is changed, and what a run writes is the
same, byte for byte, as when each step is scheduled by itself
(``tests/replay/test_fast_forward.py``).

Asynchronous scheduling, at time t, with one step f on the device:

    | at          | one by one                      | fast-forward                               |
    |-------------|---------------------------------|--------------------------------------------|
    | t           | s1 is scheduled                 | s1 … sn are scheduled                      |
    | end of f    | f is delivered, s2 scheduled    | f is delivered, x scheduled                |
    | end of s1   | s1 is delivered, s3 scheduled   |                                            |
    | …           |                                 |                                            |
    | end of sn-1 | sn-1 is delivered, x scheduled  |                                            |
    | end of sn   | sn is delivered                 | s1 … sn are delivered, each at its own end |

x must become what it would have been, so before the end of sn-1 nobody may end, and whoever
arrives may do no more than wait for a slot; such requests are added at once, and counted as
waiting from their arrival on. At the end of sn somebody may end, unless it is by ``max_tokens``,
which the scheduler sees coming one step ahead. And the blocks for all steps up to x must be free,
or somebody would have been preempted on the way.

The lengths of the recorded answers are read here, to find a stretch that nobody ends in. They
settle in how many calls the scheduler decides, and never what.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from vllm.config import VllmConfig
from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.engine.core import EngineCore
from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheConfig, MLAAttentionSpec
from vllm.v1.outputs import DraftTokenIds
from vllm.v1.request import Request

from ..records import ScheduledRequest, StepRecord
from .replay_executor import ReplayExecutor

logger = logging.getLogger("vllm.sim.replay")

_ANY_TOKEN = -1  # a draft is a place to fill; what stands there is never looked at


class FastForward:
    """Asks the scheduler of a replay for stretches of steps.

    Args:
        core: With a :class:`ReplayExecutor`. Its scheduler is read, and given drafts.
    """

    def __init__(self, core: EngineCore) -> None:
        assert isinstance(core.model_executor, ReplayExecutor)
        self._core, self._executor = core, core.model_executor
        self._scheduler: Any = core.scheduler
        obstacle = _obstacle(core.vllm_config, self._executor.kv_cache, core.scheduler)
        if obstacle is not None:
            logger.info("no fast-forward, each step is scheduled by itself: %s", obstacle)
        self._possible = obstacle is None

    def turns(self, due_ns: int | None) -> Iterator[int]:
        """The turns of the driver's loop that need not be made, from now on.

        Call it before a step of the engine, when all that has arrived is in it, and take all
        that it gives: the step that follows stands for as many.

        Args:
            due_ns: When the next request arrives, as far as that is known.

        Yields:
            The time of a turn, for the driver to add what has arrived by then.
        """
        running: Sequence[Request] = self._scheduler.running
        if not (self._possible and running and len(self._core.batch_queue) == 1):
            return
        _, waiting = self._scheduler.get_request_counts()
        if len(running) == self._scheduler.max_num_active_reqs:
            due_ns = None  # it will wait for a slot
        elif waiting:
            return  # for something else, and is tried in each step
        most = min(self._tokens // len(running), self._decodes_left(running))
        planned = self._planned(running, most, due_ns) if most > 1 else []
        if len(planned) < 2:
            return
        # Each step but the first is scheduled at the end of the one before the one before it.
        ends_ns = self._executor.device_free_ns
        for step in planned:
            step.waiting = waiting
            yield ends_ns
            ends_ns += step.duration_ns
            _, waiting = self._scheduler.get_request_counts()
        self._executor.planned = planned
        ids = [request.request_id for request in running]
        drafts = [[_ANY_TOKEN] * (len(planned) - 1)] * len(ids)
        self._scheduler.update_draft_token_ids(DraftTokenIds(ids, drafts))

    def delivered_ns(self) -> Sequence[int]:
        """When each of the steps ended that were delivered last."""
        return self._executor.delivered_ns

    def under_way(self) -> bool:
        """Whether steps that were asked for at once are not delivered yet."""
        return any(len(ends_ns) > 1 for ends_ns in self._executor.ends_ns)

    @property
    def _tokens(self) -> int:
        """How many the scheduler gives in a step, and to one request."""
        config = self._core.vllm_config.scheduler_config
        limits = self._scheduler.max_num_scheduled_tokens, config.max_num_batched_tokens
        return min(*limits, config.long_prefill_token_threshold or max(limits))

    def _decodes_left(self, running: Sequence[Request]) -> int:
        """Steps in which every running request decodes, the last of which may be its last."""
        left = self._tokens
        for request in running:
            steady = (
                request.num_output_placeholders == 1  # in the step on the device
                and request.num_computed_tokens == request.num_tokens
                and not request.spec_token_ids
            )
            if not steady:
                return 0
            scheduled = request.num_output_tokens + 1
            left = min(left, request.max_tokens - 1 - scheduled)
            length = self._executor.answer_tokens(request.request_id)
            if length is not None:
                left = min(left, length - scheduled)
            if left < 2:
                break
        return left

    def _planned(
        self, running: Sequence[Request], most: int, due_ns: int | None
    ) -> list[StepRecord]:
        """At most that many steps, up to the first arrival or the last free block."""
        ends_ns = self._executor.device_free_ns
        planned: list[StepRecord] = []
        places = [(request.request_id, request.num_computed_tokens) for request in running]
        new_blocks = self._new_blocks(running)  # a step
        free = self._scheduler.kv_cache_manager.block_pool.get_num_free_blocks() - next(new_blocks)
        for at in range(most):
            left = free - next(new_blocks)  # after the step behind this one
            if left < 0 or (due_ns is not None and due_ns <= ends_ns):
                break
            requests = [ScheduledRequest(id, 1, computed + at, "decode") for id, computed in places]
            step = StepRecord(0, 0, 0, requests, 0, 0, [], [], free, 0, 0)
            step.duration_ns, step.in_domain = self._executor.latency.step_time(step)
            if self._executor.settings.strict and not step.in_domain:
                break  # refused by name when it is scheduled by itself
            planned.append(step)
            ends_ns += step.duration_ns
            free = left
        return planned

    def _new_blocks(self, running: Sequence[Request]) -> Iterator[int]:
        """How many blocks each of the next steps takes, without end."""
        size = self._executor.kv_cache.kv_cache_groups[0].kv_cache_spec.block_size
        fill = Counter(request.num_computed_tokens % size for request in running)
        step = 0
        while True:
            yield fill[-step % size]
            step += 1


def _obstacle(config: VllmConfig, kv_cache: KVCacheConfig, scheduler: object) -> str | None:
    """Why steps of this engine cannot be asked for in stretches."""
    parallel, events = config.parallel_config, config.kv_events_config
    if type(scheduler) is not AsyncScheduler:
        return f"the scheduler is {type(scheduler).__qualname__}, not AsyncScheduler"
    if parallel.pipeline_parallel_size > 1:
        return "steps overlap in a pipeline"
    if parallel.decode_context_parallel_size > 1 or parallel.prefill_context_parallel_size > 1:
        return "KV blocks are shared out among ranks"
    kinds = [type(group.kv_cache_spec) for group in kv_cache.kv_cache_groups]
    if len(kinds) != 1 or kinds[0] not in (FullAttentionSpec, MLAAttentionSpec):
        return "the model has more kinds of KV cache than full attention's"
    if events is not None and events.enable_kv_cache_events:
        return "KV cache events are sent step by step"
    return None
