"""The driver of an offline run: clients on one side, an engine on the other, a clock between.

It is the same for a replay (virtual time, simulated engine) and for a recording (wall
time, real engine). Each turn of its loop does, in this order, what vLLM's own engine
loop does between two steps:

    | | at clock time t                                            | in vLLM                  |
    |-|------------------------------------------------------------|--------------------------|
    |1| add every request that has arrived, at t itself included   | `_process_input_queue`   |
    |2| nothing to do: wait for the next arrival, begin again at 1 | the same, blocking       |
    |3| `step()` schedules at t and starts the step on the device; | `step`, or               |
    | | while the device's queue has room (asynchronous            | `step_with_batch_queue`  |
    | | scheduling, pipelines) it returns: back to 1, at the same t|                          |
    |4| else it waits for the oldest step, until the clock says so | `future.result()`        |
    |5| deliver that step's tokens, at the new time                | output queue             |

So a request that arrives while a step runs is added at that step's end, and enters the
step that is scheduled then. Under asynchronous scheduling another step has been scheduled
before that, and runs first. With steps of 50 ms, the first at 5 ms, and an arrival at 225:

    | clock | delivered | added       | scheduled     | runs next, until |
    |-------|-----------|-------------|---------------|------------------|
    | 205   | step 4    |             | step 6        | step 5, 255      |
    | 255   | step 5    | the request | step 7 with it| step 6, 305      |
    | 305   | step 6    |             | step 8        | step 7, 355      |
    | 355   | step 7    |             | step 9        | step 8, 405      |

Its first token is step 7's, at 355 ms. Without asynchronous scheduling the step that is
scheduled at 255 runs at once, and the token comes at 305.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from types import FrameType
from typing import Protocol

from vllm.outputs import RequestOutput
from vllm.v1.engine import EngineCoreOutput, FinishReason

from ..clock import Clock
from ..metrics.folder import RunFolder
from ..records import FinishReason as RecordedReason
from ..records import RequestRecord, StepRecord
from ..workload.client import Clients, Sending
from .offline import OfflineEngine, Refused
from .replay_rows import Prompts, RowRequests

logger = logging.getLogger("vllm.sim.replay")

_LOGGED_REFUSALS = 5
REASONS: dict[FinishReason, RecordedReason] = {
    FinishReason.STOP: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.ABORT: "abort",
    FinishReason.ERROR: "error",
    FinishReason.REPETITION: "stop",
}


class Live:
    """A request on its way."""

    __slots__ = (
        "cached_tokens", "delivered_ns", "finish_reason", "first_scheduled_ns", "output_tokens",
        "preemptions", "prompt_ids", "sending",
    )  # fmt: skip

    def __init__(self, sending: Sending, prompt_ids: list[int]) -> None:
        self.sending, self.prompt_ids = sending, prompt_ids
        self.delivered_ns: list[int] = []  # one a delivery of tokens
        self.first_scheduled_ns: int | None = None
        self.finish_reason: RecordedReason = "unfinished"
        self.output_tokens = self.preemptions = self.cached_tokens = 0

    def record(self, request_id: str, reason: RecordedReason, end_ns: int | None) -> RequestRecord:
        """What its client saw."""
        times, row = self.delivered_ns, self.sending.row
        return RequestRecord(
            id=request_id,
            arrival_ns=self.sending.arrival_ns,
            prompt_tokens=len(self.prompt_ids),
            output_tokens=self.output_tokens,
            cached_tokens=self.cached_tokens,
            preemptions=self.preemptions,
            finish_reason=reason,
            first_scheduled_ns=self.first_scheduled_ns,
            first_token_ns=times[0] if times else None,
            end_ns=end_ns,
            itl_ns=[after - before for before, after in pairwise(times)],
            trace_line=self.sending.line or None,
            session_id=None if row.session_id is None else str(row.session_id),
            turn=row.turn,
        )


class Watcher(Protocol):
    """Looks on while a run goes: a progress bar, a recorder."""

    def turn(self, now_ns: int) -> None:
        """The loop begins a turn: what it did before is delivered."""

    def sent(self, request_id: str, live: Live) -> None:
        """A request has been given to the engine."""

    def ended(self, live: Live, record: RequestRecord, token_ids: Sequence[int]) -> None:
        """A request has left, with this answer."""


class StepsAhead(Protocol):
    """Lets a simulated engine do several steps in one."""

    def turns(self, due_ns: int | None) -> Iterator[int]:
        """A step is about to be scheduled, and the next arrival is then, as far as is known.

        Yields the times of turns that the step makes unnecessary, but for what arrives.
        """

    def delivered_ns(self) -> Sequence[int]:
        """When each of the steps ended that were delivered last."""

    def under_way(self) -> bool:
        """Whether several steps have been scheduled at once and are not delivered yet."""


class Driver:
    """Runs a trace through an engine.

    Args:
        engine: With nothing in it.
        clock: The engine's own.
        clients: Who sends what, when.
        prompts: Rows to token ids.
        requests: How the engine is asked for a row's answer.
        folder: Where the records of requests go. Steps come from the engine: give it
            :meth:`scheduled` to call.
        watchers: Called in order.
        ahead: Of a simulated engine; None: each step is delivered now.
    """

    def __init__(
        self,
        engine: OfflineEngine,
        clock: Clock,
        clients: Clients,
        prompts: Prompts,
        requests: RowRequests,
        folder: RunFolder,
        watchers: list[Watcher],
        ahead: StepsAhead | None = None,
    ) -> None:
        self._engine, self._clock, self._clients = engine, clock, clients
        self._prompts, self._requests = prompts, requests
        self._folder, self._watchers, self._ahead = folder, watchers, ahead
        self._live: dict[str, Live] = {}
        self._unscheduled: set[str] = set()
        self._refusals = 0
        self._interrupted = self._idle = False
        self._now_ns = clock.now_ns()

    @property
    def live(self) -> int:
        """Requests on their way."""
        return len(self._live)

    def run(self) -> bool:
        """Until every row has been sent and has ended.

        Returns:
            False when interrupted; what was on its way is recorded as unfinished.
        """
        with _interrupts(self._interrupt):
            while not self._stopped() and self._turn():
                pass
        for request_id, live in self._live.items():
            self._folder.add_request(live.record(request_id, "unfinished", None))
        return not self._interrupted

    def _stopped(self) -> bool:
        if not self._interrupted or self._ahead is None:
            return self._interrupted
        # Steps that stand in the log are delivered, but for the one or two on the device.
        return not self._ahead.under_way()

    def scheduled(self, record: StepRecord) -> None:
        """The engine has scheduled a step."""
        for request_id in record.preempted:
            if request_id in self._live:  # its last token may have been on its way
                self._live[request_id].preemptions += 1
        if self._unscheduled:
            for request in record.requests:
                if request.id in self._unscheduled:
                    self._unscheduled.remove(request.id)
                    self._live[request.id].first_scheduled_ns = record.start_ns

    def _turn(self) -> bool:
        # The moment of the last delivery: what was done since belongs to the next step.
        now_ns = self._now_ns
        for watcher in self._watchers:
            watcher.turn(now_ns)
        due_ns = self._send_due(now_ns)
        if self._engine.has_work():
            if self._ahead is not None:
                for turn_ns in self._ahead.turns(due_ns):
                    self._send_due(turn_ns)
            delivered, finished = self._engine.step()
            self._now_ns = self._clock.now_ns()
            self._deliver(delivered, finished)
        elif due_ns is not None:
            self._wait(due_ns)
            self._now_ns = self._clock.now_ns()
        else:
            return False
        return True

    def _send_due(self, now_ns: int) -> int | None:
        """Send all that is due; returns when the next is."""
        while (due_ns := self._clients.due_ns()) is not None and due_ns <= now_ns:
            self._send(self._clients.send(), now_ns)
        return due_ns

    def _send(self, sending: Sending, now_ns: int) -> None:
        request_id = f"r{sending.number}"
        prompt_ids = self._prompts.ids(sending.row, sending.line)
        params = self._requests.params(sending, request_id, len(prompt_ids))
        live = Live(sending, prompt_ids)
        try:
            self._engine.add(
                request_id, prompt_ids, params, sending.arrival_ns, sending.row.priority or 0
            )
        except Refused as error:
            self._requests.refused(request_id)
            self._end(live, live.record(request_id, "refused", None), ())
            self._clients.ended(sending, now_ns)
            self._log_refusal(sending.line, error)
            return
        self._live[request_id] = live
        self._unscheduled.add(request_id)
        for watcher in self._watchers:
            watcher.sent(request_id, live)

    def _deliver(
        self, delivered: Sequence[EngineCoreOutput], finished: Sequence[RequestOutput]
    ) -> None:
        requests, now_ns = self._live, self._now_ns
        times = (now_ns,) if self._ahead is None else self._ahead.delivered_ns()
        for output in delivered:
            live = requests[output.request_id]
            if tokens := len(output.new_token_ids):
                live.delivered_ns += times
                live.output_tokens += tokens
            if output.prefill_stats is not None:
                live.cached_tokens = output.prefill_stats.num_cached_tokens
            if output.finish_reason is not None:
                live.finish_reason = REASONS[output.finish_reason]
        for answer in finished:
            live = requests.pop(answer.request_id)
            self._unscheduled.discard(answer.request_id)
            record = live.record(answer.request_id, live.finish_reason, now_ns)
            self._end(live, record, answer.outputs[0].token_ids)
            self._clients.ended(live.sending, now_ns)

    def _end(self, live: Live, record: RequestRecord, token_ids: Sequence[int]) -> None:
        self._folder.add_request(record)
        for watcher in self._watchers:
            watcher.ended(live, record, token_ids)

    def _log_refusal(self, line: int, error: Refused) -> None:
        self._refusals += 1
        if self._refusals <= _LOGGED_REFUSALS:
            logger.warning("line %d is refused: %s", line, error)
        if self._refusals == _LOGGED_REFUSALS:
            logger.warning("further refusals are counted in summary.json only")

    def _wait(self, due_ns: int) -> None:
        self._idle = True
        try:
            self._clock.wait_until_ns(due_ns)
        except KeyboardInterrupt:
            self._interrupted = True
        finally:
            self._idle = False

    def _interrupt(self) -> None:
        self._interrupted = True
        if self._idle:  # nothing is under way, and the wait may be long
            raise KeyboardInterrupt


@contextmanager
def _interrupts(stop: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C stops between two steps, so that records stay whole; the second at once."""

    def handle(signum: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        stop()

    if threading.current_thread() is not threading.main_thread():
        yield  # signals go to the main thread
        return
    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
