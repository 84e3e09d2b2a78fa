"""An engine's scheduler seen from outside, in the same way whatever runs beneath it.

Wrapping is done on the instance and only reads. Nothing here uses the simulator's own
records, so it can be held against them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

Blocks = tuple[list[int], ...]  # one list of block ids for each KV cache group


@dataclass
class Delivered:
    """What a step gave a request: the core's output, before it is made text."""

    id: str
    token_ids: list[int]
    finish_reason: str | None
    stop_reason: int | str | None


@dataclass
class Step:
    """One call of ``schedule()``, and what came of it. Ids are in the scheduler's order."""

    scheduled: dict[str, int]  # tokens
    computed: dict[str, int]  # tokens in the KV cache before the step
    outputs: dict[str, int]  # output tokens before the step, those in flight included
    new: list[str]
    resumed: list[str]
    preempted: list[str]
    finished: list[str]
    new_blocks: dict[str, Blocks | None]
    running: list[str]
    waiting: list[str]
    tables: dict[str, Blocks]  # of the running requests, after scheduling
    free: list[int]  # block ids in the order in which they will be handed out
    blocks: list[tuple[int, str]]  # of each block: references, and its content's hash
    known: dict[str, int] = field(default_factory=dict)  # prompt and output tokens, in flight too
    delivered: list[Delivered] = field(default_factory=list)
    free_after: list[int] = field(default_factory=list)  # once the output is processed


class Watcher:
    """``with Watcher(scheduler) as watcher: …; watcher.steps``."""

    def __init__(self, scheduler: Any) -> None:
        self.steps: list[Step] = []
        self._scheduler = scheduler
        self._pool = scheduler.kv_cache_manager.block_pool
        self._seen: set[str] = set()
        self._pending: list[tuple[Any, Step]] = []  # scheduled, and not updated from

    def __enter__(self) -> Watcher:
        schedule: Callable[..., Any] = self._scheduler.schedule
        update: Callable[..., Any] = self._scheduler.update_from_output

        def watched_schedule(*args: Any, **kwargs: Any) -> Any:
            output = schedule(*args, **kwargs)
            self._scheduled(output)
            return output

        def watched_update(output: Any, result: Any) -> Any:
            given = update(output, result)
            self._updated(output, given)
            return given

        self._scheduler.schedule = watched_schedule
        self._scheduler.update_from_output = watched_update
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        del self._scheduler.schedule, self._scheduler.update_from_output

    def _scheduled(self, output: Any) -> None:
        manager = self._scheduler.kv_cache_manager
        requests = self._scheduler.requests
        cached = output.scheduled_cached_reqs
        new = {request.req_id: request for request in output.scheduled_new_reqs}
        # Model runner V2 is sent a resumed request as a new one, with all its tokens.
        resumed = set(cached.resumed_req_ids) | (new.keys() & self._seen)
        self._seen |= new.keys()
        computed = dict(zip(cached.req_ids, cached.num_computed_tokens, strict=True))
        outputs = dict(zip(cached.req_ids, cached.num_output_tokens, strict=True))
        blocks = dict(zip(cached.req_ids, cached.new_block_ids, strict=True))
        for id, request in new.items():
            tokens = request.prefill_token_ids or request.prompt_token_ids
            computed[id] = request.num_computed_tokens
            outputs[id] = len(tokens) - request.prompt_len
            blocks[id] = request.block_ids
        ids = list(output.num_scheduled_tokens)
        step = Step(
            scheduled=dict(output.num_scheduled_tokens),
            computed={id: computed[id] for id in ids},
            outputs={id: outputs[id] for id in ids},
            new=[id for id in new if id not in resumed],
            resumed=sorted(resumed),
            preempted=sorted(output.preempted_req_ids or ()),
            finished=sorted(output.finished_req_ids),
            new_blocks={id: None if blocks[id] is None else _copy(blocks[id]) for id in ids},
            running=[request.request_id for request in self._scheduler.running],
            waiting=[
                request.request_id
                for queue in (self._scheduler.waiting, self._scheduler.kv_holding_waiting)
                for request in queue
            ],
            tables={
                request.request_id: _copy(manager.get_block_ids(request.request_id))
                for request in self._scheduler.running
            },
            free=self._free(),
            blocks=[
                (block.ref_cnt, block.block_hash.hex()[:16] if block.block_hash else "")
                for block in self._pool.blocks
            ],
            known={id: requests[id].num_prompt_tokens + outputs[id] for id in ids},
        )
        self.steps.append(step)
        self._pending.append((output, step))

    def _updated(self, output: Any, given: dict[int, Any]) -> None:
        scheduled, step = self._pending.pop(0)
        assert scheduled is output, "outputs are processed in the order of their steps"
        step.delivered = [
            Delivered(
                one.request_id,
                list(one.new_token_ids),
                None if one.finish_reason is None else str(one.finish_reason),
                one.stop_reason,
            )
            for client in given.values()
            for one in client.outputs
        ]
        step.free_after = self._free()

    def _free(self) -> list[int]:
        return [block.block_id for block in self._pool.free_block_queue.get_all_free_blocks()]


def _copy(blocks: Blocks) -> Blocks:
    """Model runners go on appending to the lists that the scheduler hands them."""
    return tuple(list(group) for group in blocks)
