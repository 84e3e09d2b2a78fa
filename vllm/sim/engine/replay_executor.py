"""The executor of a replay: virtual time, and each request's own answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from vllm.tokenizers import TokenizerLike
from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.kv_cache_interface import KVCacheConfig

from ..clock import DeviceTimeline, VirtualClock
from ..errors import SimError
from ..records import StepRecord
from .batch import Batch
from .executor import SimExecutor
from .replay_answers import ReplayAnswers


class ReplayExecutor(SimExecutor):
    """Passed as the class ``distributed_executor_backend``, which the platform keeps.

    Attributes:
        calls: How many steps the scheduler has decided; fewer than steps, where it was asked for
            several at once.
        planned: The steps that the next call of ``execute_model`` stands for; none: itself. They
            have their requests, durations, and how many wait and how many blocks are free then.
        ends_ns: When the steps of each result end that has not been handed over.
        delivered_ns: The same of the one that was handed over last.
    """

    def _init_executor(self) -> None:
        super()._init_executor()
        self.restart_time()

    def _make_clock(self) -> VirtualClock:
        return VirtualClock()

    def _make_answers(self, tokenizer: TokenizerLike | None) -> ReplayAnswers:
        self.answers = ReplayAnswers()
        return self.answers

    def initialize_from_config(self, kv_cache_configs: list[KVCacheConfig]) -> None:
        self.kv_cache = kv_cache_configs[0]

    def restart_time(self) -> None:
        """Begin again at 0, for another run of an engine that has nothing left to do."""
        self.clock = self._make_clock()
        self._timeline = DeviceTimeline(self.parallel_config.pipeline_parallel_size)
        self.observer.restart()
        self.calls = 0
        self.planned: Sequence[StepRecord] = ()
        self.delivered_ns: Sequence[int] = ()
        self.ends_ns: deque[Sequence[int]] = deque()

    @property
    def device_free_ns(self) -> int:
        """When the device is done with all that it has been given."""
        return self._timeline.free_at_ns

    def answer_tokens(self, request_id: str) -> int | None:
        """How many tokens a running request's answer has; None if only its limits end it."""
        return self._sampler.answer_tokens(request_id)

    def _run(self, batch: Batch, output: SchedulerOutput, now_ns: int) -> int:
        self.calls += 1
        planned, self.planned = self.planned, ()
        if planned:
            self.ends_ns.append(self._run_planned(planned, batch, output, now_ns))
        else:
            self.ends_ns.append((super()._run(batch, output, now_ns),))
        return self.ends_ns[-1][-1]

    def _run_planned(
        self, planned: Sequence[StepRecord], batch: Batch, output: SchedulerOutput, now_ns: int
    ) -> list[int]:
        """Place each of the steps; returns when they end."""
        whole = self.observer.record(batch, output, len(planned))
        asked = [(one.id, one.computed_tokens, len(planned)) for one in planned[0].requests]
        given = [(one.id, one.computed_tokens, one.new_tokens) for one in batch.requests]
        if asked != given or whole.free_blocks != planned[-1].free_blocks:
            raise SimError(
                f"step {whole.step}: the scheduler did not give the {len(planned)} steps at once "
                f"that were foreseen; run it with --no-fast-forward, and report this"
            )
        planned[0].preempted, planned[0].finished = whole.preempted, whole.finished
        for number, record in enumerate(planned, start=whole.step):
            record.step, record.running = number, whole.running
            record.used_blocks = whole.used_blocks + whole.free_blocks - record.free_blocks
        return [self._place(record, now_ns) for record in planned]

    def _count_delivery(self) -> None:
        self.delivered_ns = self.ends_ns.popleft()
        self.counters.steps += len(self.delivered_ns) - 1
        super()._count_delivery()
