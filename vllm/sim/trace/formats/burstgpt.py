"""BurstGPT: seconds and token counts; version 3 adds ``Session ID`` and ``Elapsed time``.

Columns are found by name, since version 3 puts its own in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO

from ..read import PlacedRow
from ..schema import TraceHeader, TraceRow
from .base import Format, Sample, WriteOptions
from .csv_rows import CsvLine, CsvReader, csv_line
from .length_rows import needed

COLUMNS = ("Timestamp", "Model", "Request tokens", "Response tokens", "Total tokens", "Log Type")
SESSION, ELAPSED = "Session ID", "Elapsed time"


class BurstGptReader(CsvReader):
    columns = COLUMNS

    def _rows(self) -> Iterator[PlacedRow]:
        self.header = TraceHeader(vllm_sim_trace=1, provenance={"format": "burstgpt"})
        turns: Counter[str] = Counter()
        for at in self._lines():
            given, answered = self._count(at, "Request tokens"), self._count(at, "Response tokens")
            if given + answered != self._count(at, "Total tokens"):
                self._fail(
                    f"Total tokens is {at.cells['Total tokens']}, the two others add up to "
                    f"{given + answered}",
                    at.line,
                )
            finish = None
            if answered == 0:
                self.notes["requests without an answer, kept with finish_reason error"] += 1
                finish = "error"
            row = self._row(
                at.line,
                timestamp=self._number(at, "Timestamp", "a number of seconds"),
                input_length=given,
                output_length=answered,
                model=at.cells["Model"] or None,
                finish_reason=finish,
                **self._session(at, turns),
                extra=self._extra(at),
            )
            yield PlacedRow(at.line, at.offset, row)

    def _session(self, at: CsvLine, turns: Counter[str]) -> dict[str, Any]:
        session = at.cells.get(SESSION, "").strip()
        if not session:
            return {}
        turns[session] += 1
        return {"session_id": session, "turn": turns[session]}

    def _extra(self, at: CsvLine) -> dict[str, Any]:
        extra: dict[str, Any] = {"log_type": at.cells["Log Type"] or None}
        if at.cells.get(ELAPSED, "").strip():
            extra["elapsed_time"] = self._number(at, ELAPSED, "a number of seconds")
        return extra


class BurstGptWriter:
    """Version 3, with a session and an elapsed time where the rows have them."""

    def __init__(self, out: BinaryIO, header: TraceHeader | None, options: WriteOptions) -> None:
        self.notes: Counter[str] = Counter()
        self._out = out
        out.write(csv_line(("Timestamp", SESSION, ELAPSED, *COLUMNS[1:])))

    def write(self, row: TraceRow) -> None:
        for name in (row.model, row.session_id):
            if isinstance(name, str) and any(mark in name for mark in ',"\n\r'):
                raise ValueError(f"has a name that a CSV cell would break: {name!r}")
        if row.model is None:
            self.notes["rows without a model: the cell is empty"] += 1
        given, answered = needed(row, "input_length"), needed(row, "output_length")
        if row.finish_reason is not None and (row.finish_reason == "error") != (answered == 0):
            self.notes["finish reasons, of which only an empty answer can be said"] += 1
        self._out.write(
            csv_line(
                (
                    needed(row, "timestamp"),
                    row.session_id,
                    row.extra.get("elapsed_time"),
                    row.model,
                    given,
                    answered,
                    given + answered,
                    row.extra.get("log_type"),
                )
            )
        )

    def finish(self) -> None:
        pass


def _sniff(sample: Sample) -> bool:
    return set(COLUMNS) <= set(sample.columns)


FORMAT = Format(
    name="burstgpt",
    title="BurstGPT trace",
    sniff=_sniff,
    reader=BurstGptReader,
    writer=BurstGptWriter,
    # turn follows from the order, the error from an empty answer
    says=frozenset(
        {"timestamp", "input_length", "output_length", "model", "session_id", "turn"}
        | {"finish_reason", "elapsed_time", "log_type"}
    ),
)
