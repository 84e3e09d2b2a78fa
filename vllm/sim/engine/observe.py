"""What a step looked like: the record that latency models and the step log are given."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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


class StepSink(Protocol):
    """Takes the records of steps, in order."""

    def write(self, record: StepRecord) -> None: ...

    def close(self) -> None: ...


class SchedulerPrinter:
    """``--sim-debug-scheduler``: each step on stderr."""

    def write(self, record: StepRecord) -> None:
        print("\n".join(step_lines(record)), file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


def sinks_of(settings: SimSettings, config: VllmConfig) -> list[StepSink]:
    """Where the settings want the steps written."""
    sinks: list[StepSink] = []
    if settings.step_log is not None:
        # The rank is 0 in every engine of a dense model; the index tells them apart.
        rank = config.parallel_config.data_parallel_index
        sinks.append(StepLog(step_log_path(settings.step_log, rank)))
    if settings.debug_scheduler:
        sinks.append(SchedulerPrinter())
    return sinks


class StepObserver:
    """Numbers the steps and gives them to whoever wants them."""

    def __init__(self, sinks: Iterable[StepSink] = ()) -> None:
        self._scheduler: SchedulerView | None = None
        self._steps = 0
        self._ended: list[str] = []  # and not in a record yet
        self._preempted: list[str] = []
        self._sinks = list(sinks)

    def watch(self, scheduler: SchedulerView) -> None:
        self._scheduler = scheduler

    def restart(self) -> None:
        """Begin again at step 0, with nothing left to tell of an earlier run."""
        self._steps = 0
        self._ended.clear()
        self._preempted.clear()

    @contextmanager
    def given_to(self, sink: StepSink) -> Iterator[None]:
        """Give the steps to one more."""
        self._sinks.append(sink)
        try:
            yield
        finally:
            self._sinks.remove(sink)
            sink.close()

    def nothing_ran(self, output: SchedulerOutput) -> None:
        """A step without tokens has no record: who ended or had to leave stands in the next."""
        self._ended += output.finished_req_ids
        self._preempted += output.preempted_req_ids or ()

    def record(self, batch: Batch, output: SchedulerOutput, steps: int = 1) -> StepRecord:
        """The step's record; its times are filled in by the caller.

        Where it stands for several steps, their numbers are taken, and this has the first.
        """
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
            preempted=sorted([*self._preempted, *batch.preempted]),
            finished=sorted([*self._ended, *output.finished_req_ids]),
            free_blocks=free_blocks,
            used_blocks=used_blocks,
            cached_tokens=sum(new.num_computed_tokens for new in batch.admitted),
        )
        self._steps += steps
        self._ended.clear()
        self._preempted.clear()
        return record

    def write(self, record: StepRecord) -> None:
        for sink in self._sinks:
            sink.write(record)

    def close(self) -> None:
        for sink in self._sinks:
            sink.close()
