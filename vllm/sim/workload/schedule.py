"""Times onto sessions: closed loops with think time, or absolute timestamps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Literal

from ..trace.read import PlacedRow
from ..trace.schema import TraceRow
from ..trace.spool import sorted_rows, spooled
from .arrivals import Arrivals
from .distribution import Distribution
from .random_streams import stream


@dataclass(frozen=True)
class Schedule:
    """When the turns of a session come.

    Args:
        arrivals: Of sessions (a request alone is one); None leaves times to the replay.
        think_time: Seconds between turns; None leaves them out.
        turns: ``closed`` starts a turn a think time after the answer before it ended;
            ``timestamps`` fixes it beforehand, a think time after the turn before began.
        seed: For arrivals and think times, which are drawn separately.
    """

    arrivals: Arrivals | None
    think_time: Distribution | None
    turns: Literal["closed", "timestamps"]
    seed: int

    def apply(self, sessions: Iterable[list[TraceRow]]) -> Iterator[TraceRow]:
        """All rows with their times, in the order of a trace.

        The rows wait on disk until their number is known, which the arrivals depend on.
        """
        sizes: list[int] = []
        rows = spooled(_numbered(self._with_think_times(sessions), sizes))
        if self.arrivals is None:
            return (placed.row for placed in rows)
        timed = self._timed(rows, sizes)
        if self.turns == "timestamps":
            # Sessions overlap.
            timed = sorted_rows(timed, lambda placed: placed.row.timestamp)
        return (placed.row for placed in timed)

    def _with_think_times(self, sessions: Iterable[list[TraceRow]]) -> Iterator[list[TraceRow]]:
        source = stream(self.seed, "think time")
        for rows in sessions:
            if self.think_time is not None:
                for row in rows[1:]:
                    row.think_time = self.think_time.draw(source)
            yield rows

    def _timed(self, rows: Iterable[PlacedRow], sizes: list[int]) -> Iterator[PlacedRow]:
        assert self.arrivals is not None
        waiting = iter(rows)
        first = next(waiting, None)  # by now all sessions have been counted
        if first is None:
            return
        times = self.arrivals.times(len(sizes), self.seed)
        placed = first
        for start, size in zip(times.tolist(), sizes, strict=True):
            at = start
            for turn in range(size):
                if turn and self.turns == "timestamps":
                    at += placed.row.think_time or 0.0
                    placed.row.think_time = None
                if not turn or self.turns == "timestamps":
                    placed.row.timestamp = round(at, 6)
                yield placed
                following = next(waiting, None)
                if following is not None:
                    placed = following


def _numbered(sessions: Iterable[list[TraceRow]], sizes: list[int]) -> Iterator[PlacedRow]:
    numbers = count(1)
    for rows in sessions:
        sizes.append(len(rows))
        for row in rows:
            yield PlacedRow(next(numbers), 0, row)
