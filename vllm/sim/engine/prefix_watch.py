"""Reads what vLLM decides about KV blocks, from outside, into a log.

Three things are read, and none is written to: the scheduler's output (which blocks a request
was given, how many of its tokens were found), the hashes that vLLM made of the request's
blocks, and the block pool's KV cache events (``BlockStored``, ``BlockRemoved``). The events
are read where the pool queues them, because they are published a step late when scheduling
is asynchronous.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from vllm.distributed.kv_events import BlockRemoved, BlockStored, KVCacheEvent
from vllm.v1.core.kv_cache_utils import resolve_block_hashes
from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.request import Request

from ..metrics.prefix_log import Hashes, PrefixLog

BlockIds = Sequence[Sequence[int]]  # one list for each KV cache group
_NULL_BLOCK = 0  # stands for blocks that a sliding window has left behind
_MASK = (1 << 64) - 1


class _Running(NamedTuple):
    request: Request
    number: int
    prompt_blocks: int


class PrefixWatch:
    """Fills a log, step by step.

    A model with several KV cache groups has its hits and contents counted in the first one;
    allocations are of all groups.

    Args:
        scheduler: Of the engine to look at.
        log: Where it goes.
    """

    def __init__(self, scheduler: Scheduler, log: PrefixLog) -> None:
        self._scheduler, self._log = scheduler, log
        self._pool = scheduler.kv_cache_manager.block_pool
        self._running: dict[str, _Running] = {}
        self._events: list[KVCacheEvent] = self._pool.kv_event_queue
        self._events_read = len(self._events)

    def scheduled(self, output: SchedulerOutput, now_ns: int) -> None:
        """The scheduler has decided a step."""
        for request_id in sorted(output.finished_req_ids & self._running.keys()):
            self._end(request_id, now_ns)
        self._read_events(now_ns)
        for new in output.scheduled_new_reqs:
            self._admit(new.req_id, new.num_computed_tokens, new.block_ids, now_ns)
        cached = output.scheduled_cached_reqs
        for request_id, computed, block_ids in zip(
            cached.req_ids, cached.num_computed_tokens, cached.new_block_ids, strict=True
        ):
            if block_ids is None:
                continue
            if request_id in cached.resumed_req_ids:
                self._resume(computed, block_ids)
            else:
                self._log.blocks_allocated += _count(block_ids)

    def finish(self, now_ns: int) -> None:
        """The run is over: what was on its way has left."""
        for request_id in list(self._running):
            self._end(request_id, now_ns)
        self._read_events(now_ns)

    def _admit(self, request_id: str, computed: int, block_ids: BlockIds, now_ns: int) -> None:
        if request_id in self._running:  # a preempted one, sent anew
            self._resume(computed, block_ids)
            return
        request = self._scheduler.requests[request_id]
        size = self._log.block_size
        hashes = self._hashes(request)[: request.num_prompt_tokens // size]
        number = self._log.admitted(
            request_id, now_ns, request.num_prompt_tokens, computed, _numbers(hashes)
        )
        self._running[request_id] = _Running(request, number, len(hashes))
        hits = _count([group[: computed // size] for group in block_ids])
        self._log.blocks_reused += hits
        self._log.blocks_allocated += _count(block_ids) - hits

    def _resume(self, computed: int, block_ids: BlockIds) -> None:
        self._log.resumed_cached_tokens += computed
        hits = _count([group[: computed // self._log.block_size] for group in block_ids])
        self._log.blocks_allocated += _count(block_ids) - hits

    def _end(self, request_id: str, now_ns: int) -> None:
        request, number, prompt_blocks = self._running.pop(request_id)
        self._log.ended(number, now_ns, _numbers(self._hashes(request)[prompt_blocks:]))

    def _hashes(self, request: Request) -> Sequence[bytes]:
        return resolve_block_hashes(
            request.block_hashes, self._pool.hash_block_size, self._log.block_size
        )

    def _read_events(self, now_ns: int) -> None:
        queue = self._pool.kv_event_queue
        if queue is not self._events:  # the scheduler has taken the older ones
            self._events, self._events_read = queue, 0
        for event in queue[self._events_read :]:
            if isinstance(event, BlockStored) and not event.group_idx:
                self._log.stored(now_ns, external_hashes(event.block_hashes))
            elif isinstance(event, BlockRemoved) and not event.group_idx:
                self._log.removed(now_ns, external_hashes(event.block_hashes))
        self._events_read = len(queue)


def _count(block_ids: Iterable[Sequence[int]]) -> int:
    return sum(len(group) - group.count(_NULL_BLOCK) for group in block_ids)


def _numbers(hashes: Sequence[bytes]) -> Hashes:
    """The last 64 bits of each hash, which is what vLLM's events carry."""
    if not len(hashes):
        return np.empty(0, dtype=np.uint64)
    columns = np.frombuffer(b"".join(hashes), dtype=">u8").reshape(len(hashes), -1)
    return columns[:, -1].astype(np.uint64)


def external_hashes(hashes: Iterable[int | bytes]) -> Iterable[int]:
    """VLLM_KV_EVENTS_USE_INT_BLOCK_HASHES=0 makes events carry whole hashes."""
    return [
        each if isinstance(each, int) else int.from_bytes(each, "big") & _MASK for each in hashes
    ]
