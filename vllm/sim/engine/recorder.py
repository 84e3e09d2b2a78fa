"""Steps of a real engine, measured so that replaying them gives the same latencies.

What a step "took" is settled by what a replay does with the number: it starts a step when
it is scheduled, or when the step before it is done, and delivers its tokens at its end. So

    duration = end - max(scheduled, end of the step before)

where ``scheduled`` is when the engine's loop turned to schedule the step, and ``end`` is
when the loop had its tokens out, ready for the next turn. Between two steps of a busy
engine nothing is left over: start to start, with the scheduler, the output processing and
whatever else the loop does in it. While an engine is idle, nothing is counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.engine.core import EngineCore

from ..records import RequestRecord, StepRecord
from .batch import BatchReader
from .observe import StepObserver
from .replay import Live


class StepMeter:
    """Watches an engine core, and tells of each step when it is scheduled and when it is done.

    Args:
        core: Any engine core, whatever its executor.
        scheduled: Called with the record of a step that is about to run; its duration is not
            known yet.
        measured: Called with the same record when it is.
    """

    def __init__(
        self,
        core: EngineCore,
        scheduled: Callable[[StepRecord], None],
        measured: Callable[[StepRecord], None],
    ) -> None:
        self._core, self._scheduled, self._measured = core, scheduled, measured
        self._reader, self._observer = BatchReader(), StepObserver()
        self._observer.watch(core.scheduler)
        self._in_flight: deque[StepRecord | None] = deque()  # None: a step without tokens
        self._delivered: list[StepRecord] = []
        self._turn_ns = self._last_end_ns = 0

    def attach(self) -> None:
        """Look on from now on. Only attributes of this one engine core are exchanged."""
        core: Any = self._core
        executor: Any = core.model_executor
        step, execute = core.step_fn, executor.execute_model

        def watched_execute(output: SchedulerOutput, *args: Any, **kwargs: Any) -> Any:
            self._begin(output)
            return execute(output, *args, **kwargs)

        def watched_step() -> Any:
            outputs = step()
            if outputs[0] is not None and self._in_flight:
                record = self._in_flight.popleft()
                if record is not None:
                    self._delivered.append(record)
            return outputs

        core.step_fn, executor.execute_model = watched_step, watched_execute

    def sent(self, request_id: str, live: Live) -> None:
        pass

    def ended(self, live: Live, record: RequestRecord, token_ids: Sequence[int]) -> None:
        pass

    def turn(self, now_ns: int) -> None:
        """The engine's loop begins a turn: what was done before it is delivered."""
        for record in self._delivered:
            record.start_ns = max(record.start_ns, self._last_end_ns)
            record.duration_ns = now_ns - record.start_ns
            self._last_end_ns = now_ns
            self._measured(record)
        self._delivered.clear()
        self._turn_ns = now_ns

    def _begin(self, output: SchedulerOutput) -> None:
        batch = self._reader.read(output)
        if not batch.requests:
            self._observer.nothing_ran(output)
            self._in_flight.append(None)
            return
        record = self._observer.record(batch, output)
        record.start_ns = self._turn_ns
        self._in_flight.append(record)
        self._scheduled(record)
