"""The clients of a replay: which row is sent next, and when.

Rows are read as they are needed, so a trace of millions of rows takes the memory of
those that are on their way. One pass before that finds what is wrong with the trace's
times, counts the turns of its sessions, and says how many rows there are.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from ..clock import NS_PER_S
from ..errors import SettingsError, TraceError
from ..trace.read import PlacedRow
from ..trace.schema import TraceRow

Arrivals = Literal["auto", "timestamps", "sessions", "at-once"]
ARRIVALS: tuple[Arrivals, ...] = get_args(Arrivals)

SessionId = str | int


class Sending(NamedTuple):
    """A row that is sent."""

    number: int  # of the row in the trace, from 0
    line: int  # 1-based; 0 for traffic that comes from no trace
    row: TraceRow
    arrival_ns: int


class TracePlan(NamedTuple):
    """What the first pass over a trace found."""

    rows: int
    timed: bool  # the rows that start something have timestamps
    first_ns: int  # the first timestamp: the run begins there
    turns: dict[SessionId, int]  # of each session with turns that wait for another


class Clients:
    """Sends the rows of a trace.

    Args:
        rows: The trace; iterated twice.
        path: Where they come from, for errors.
        arrivals: ``timestamps`` sends each row at its own; ``sessions`` lets each turn
            wait for the turn before it and the think time after that; ``at-once`` sends
            everything at time 0. ``auto`` lets a turn wait where the row has a think
            time or no timestamp, and sends the other rows at their timestamps, or at
            time 0 where no row has one.
        rate_scale: Timestamps are divided by this; think times are left alone.
        max_concurrency: Requests on their way at the same time; further ones wait with
            the client, in order, and count as sent when they leave it.

    Raises:
        TraceError: Timestamps are missing or out of order, or the turns of a session are.
    """

    def __init__(
        self,
        rows: Iterable[PlacedRow],
        path: Path,
        arrivals: Arrivals = "auto",
        rate_scale: float = 1.0,
        max_concurrency: int | None = None,
    ) -> None:
        if not rate_scale > 0:
            raise SettingsError(f"--rate-scale must be above 0, is {rate_scale}")
        if max_concurrency is not None and max_concurrency < 1:
            raise SettingsError(f"--max-concurrency must be at least 1, is {max_concurrency}")
        self._arrivals, self._rate_scale = arrivals, rate_scale
        self.plan = self._survey(rows, path)
        self._rows = enumerate(rows)
        self._turns_left = dict(self.plan.turns)  # not read yet
        self._started: set[SessionId] = set()
        self._read: deque[Sending] = deque()  # read, in order, due at their timestamps
        self._parked: dict[SessionId, deque[Sending]] = {}  # wait for the turn before
        self._ready: list[tuple[int, int, Sending]] = []  # turns whose time is known
        self._slots = max_concurrency
        self._slot_free_ns = 0

    def due_ns(self) -> int | None:
        """When the next request is to be sent. None: when another one has ended, or never."""
        if self._slots == 0:
            return None
        while not self._read and self._read_one():
            pass
        sending = self._next()
        return None if sending is None else max(sending.arrival_ns, self._slot_free_ns)

    def send(self) -> Sending:
        """Send the request that is due next; call it only where ``due_ns`` gives a time."""
        sending, arrival_ns = self._next(), self.due_ns()
        assert sending is not None and arrival_ns is not None
        if self._read and sending is self._read[0]:
            self._read.popleft()
        else:
            heapq.heappop(self._ready)
        if self._slots is not None:
            self._slots -= 1
        return sending._replace(arrival_ns=arrival_ns)

    def ended(self, sending: Sending, now_ns: int) -> None:
        """A request that was sent has ended, in whichever way."""
        if self._slots is not None:
            if self._slots == 0:
                self._slot_free_ns = now_ns
            self._slots += 1
        session = sending.row.session_id
        if session is None or session not in self.plan.turns:
            return
        while session not in self._parked and self._turns_left[session]:
            self._read_one()
        if session in self._parked:
            self._unpark(session, now_ns)

    def _next(self) -> Sending | None:
        """Of those whose time is known the first; at the same time, the first in the trace."""
        if not self._ready:
            return self._read[0] if self._read else None
        ready = self._ready[0][2]
        if not self._read:
            return ready
        return min(self._read[0], ready, key=lambda sending: (sending.arrival_ns, sending.number))

    # Reading

    def _read_one(self) -> bool:
        """Take one row from the trace, to where it waits. False at its end."""
        item = next(self._rows, None)
        if item is None:
            return False
        number, (line, _, row) = item
        session = row.session_id
        if session in self._turns_left:
            assert session is not None
            self._turns_left[session] -= 1
            if session in self._started and self._waits(row):
                self._parked.setdefault(session, deque()).append(Sending(number, line, row, 0))
                return True
            self._started.add(session)
        self._read.append(Sending(number, line, row, self._time_of(row) - self.plan.first_ns))
        return True

    def _unpark(self, session: SessionId, ended_ns: int) -> None:
        turns = self._parked[session]
        turn = turns.popleft()
        if not turns:
            del self._parked[session]
        due_ns = ended_ns + round((turn.row.think_time or 0.0) * NS_PER_S)
        heapq.heappush(self._ready, (due_ns, turn.number, turn._replace(arrival_ns=due_ns)))

    def _time_of(self, row: TraceRow) -> int:
        if self._arrivals == "at-once" or row.timestamp is None:
            return self.plan.first_ns
        return self._scaled_ns(row.timestamp)

    def _scaled_ns(self, timestamp: float) -> int:
        return round(timestamp * NS_PER_S / self._rate_scale)

    def _waits(self, row: TraceRow) -> bool:
        """Whether a later turn of a session waits for the turn before it."""
        if self._arrivals == "auto":
            return row.think_time is not None or row.timestamp is None
        return self._arrivals == "sessions"

    # The first pass

    def _survey(self, rows: Iterable[PlacedRow], path: Path) -> TracePlan:
        last: tuple[float, int] | None = None
        first: float | None = None
        untimed_line: int | None = None
        turns: Counter[SessionId] = Counter()
        turn_numbers: dict[SessionId, int] = {}
        waiting: set[SessionId] = set()
        count = 0
        for line, _, row in rows:
            count += 1
            session = row.session_id
            if session is not None:
                turns[session] += 1
                if row.turn is not None:
                    if row.turn <= turn_numbers.get(session, -1):
                        raise TraceError(
                            path,
                            f"turn {row.turn} of session {session!r} stands behind turn "
                            f"{turn_numbers[session]}: turns must be in order",
                            line,
                        )
                    turn_numbers[session] = row.turn
                if turns[session] > 1 and self._waits(row):
                    waiting.add(session)
                    continue
            if self._arrivals == "at-once":
                continue
            if row.timestamp is None:
                untimed_line = untimed_line or line
                continue
            first = row.timestamp if first is None else first
            if last is not None and row.timestamp < last[0]:
                raise TraceError(
                    path,
                    f"timestamp {row.timestamp} comes after {last[0]} (line {last[1]}): sort the "
                    f"trace with `vllm sim trace convert --sort`",
                    line,
                )
            last = (row.timestamp, line)
        if untimed_line is not None and (first is not None or self._arrivals == "timestamps"):
            raise TraceError(
                path,
                "no timestamp, and it is no later turn of a session: give every row one, or "
                "choose --arrivals at-once",
                untimed_line,
            )
        return TracePlan(
            rows=count,
            timed=first is not None,
            first_ns=0 if first is None else self._scaled_ns(first),
            turns={session: turns[session] for session in waiting},
        )
