"""What must hold between rows: times run forward, and no turn comes twice."""

from __future__ import annotations

from array import array
from pathlib import Path

import numpy as np

from ..errors import TraceError
from .duplicates import digest
from .schema import TraceRow


class RowGuard:
    """Watches rows go by, at 16 bytes a row.

    Args:
        path: The file they come from, for the error.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turns, self._lines = array("Q"), array("Q")
        self._last: tuple[float, int] | None = None

    def see(self, row: TraceRow, line: int) -> None:
        """Look at the next row.

        Raises:
            TraceError: Its timestamp is before that of an earlier row.
        """
        if row.timestamp is not None:
            if self._last is not None and row.timestamp < self._last[0]:
                raise TraceError(
                    self._path,
                    f"timestamp {row.timestamp:g} s is before {self._last[0]:g} s of line "
                    f"{self._last[1]}; sort the rows with `vllm sim trace convert --sort`",
                    line,
                )
            self._last = row.timestamp, line
        if row.session_id is not None and row.turn is not None:
            self._turns.append(digest((row.session_id, row.turn)))
            self._lines.append(line)

    def finish(self) -> None:
        """Compare all turns.

        Raises:
            TraceError: Two rows have the same session and turn.
        """
        if not self._turns:
            return
        turns = np.frombuffer(self._turns, dtype=np.uint64)
        order = np.argsort(turns, kind="stable")
        again = np.flatnonzero(turns[order][1:] == turns[order][:-1])
        if len(again):
            first = again[np.argmin(order[again + 1])]
            line, earlier = self._lines[int(order[first + 1])], self._lines[int(order[first])]
            raise TraceError(
                self._path,
                f"the session_id and turn repeat those of line {earlier}; give the sessions "
                "other ids, or number them with `vllm sim trace convert --renumber`",
                line,
            )
