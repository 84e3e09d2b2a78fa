"""What a step looked like: the record that latency models and the step log are given."""

from __future__ import annotations

import sys
from typing import Protocol

from vllm.config import VllmConfig
from vllm.v1.core.sched.output import SchedulerOutput

from ..config import SimSettings
from ..records import StepRecord
from ..report.scheduler_text import step_lines
from ..step_log import StepLog, step_log_path
from .batch import Batch


class BlockPoolView(Protocol):
    num_gpu_blocks: int

    def get_num_free_blocks(self) -> int: ...


class KVCacheManagerView(Protocol):
    block_pool: BlockPoolView


class SchedulerView(Protocol):
    """What is read of vLLM's scheduler: counts, never written to."""

    kv_cache_manager: KVCacheManagerView

    def get_request_counts(self) -> tuple[int, int]:
        """Running and waiting requests."""


class StepObserver:
    """Numbers the steps and writes them down where that was asked for."""

    def __init__(self, settings: SimSettings, config: VllmConfig) -> None:
        self._scheduler: SchedulerView | None = None
        self._steps = 0
        self._debug = settings.debug_scheduler
        self._log: StepLog | None = None
        if settings.step_log is not None:
            rank = config.parallel_config.data_parallel_rank
            self._log = StepLog(step_log_path(settings.step_log, rank))

    def watch(self, scheduler: SchedulerView) -> None:
        self._scheduler = scheduler

    def record(self, batch: Batch, output: SchedulerOutput) -> StepRecord:
        """The step's record; its times are filled in by the caller."""
        running = waiting = free_blocks = used_blocks = 0
        if self._scheduler is not None:
            running, waiting = self._scheduler.get_request_counts()
            pool = self._scheduler.kv_cache_manager.block_pool
            free_blocks = pool.get_num_free_blocks()
            # One block is vLLM's null block: never allocated, never free.
            used_blocks = pool.num_gpu_blocks - 1 - free_blocks
        record = StepRecord(
            step=self._steps,
            start_ns=0,
            duration_ns=0,
            requests=batch.requests,
            running=running,
            waiting=waiting,
            preempted=batch.preempted,
            finished=sorted(output.finished_req_ids),
            free_blocks=free_blocks,
            used_blocks=used_blocks,
            cached_tokens=sum(request.cached_tokens for request in batch.requests),
        )
        self._steps += 1
        return record

    def write(self, record: StepRecord) -> None:
        if self._log is not None:
            self._log.write(record)
        if self._debug:
            print("\n".join(step_lines(record)), file=sys.stderr, flush=True)

    def close(self) -> None:
        if self._log is not None:
            self._log.close()
