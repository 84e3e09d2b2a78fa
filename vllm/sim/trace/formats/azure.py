"""Azure's LLM inference traces of 2023 and 2024: wall clock times and token counts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

from ..read import PlacedRow
from ..schema import TraceHeader, TraceRow
from .base import Format, Sample, WriteOptions
from .csv_rows import CsvLine, CsvReader, csv_line
from .length_rows import needed

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
_TICKS = 10**7  # a second in the 100 ns of the seven fractional digits

# 2023: "2023-11-16 18:17:03.9799600"; 2024 adds a zone: "2024-05-10 00:00:00.009930+00:00"
_CLOCK = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?")


class AzureReader(CsvReader):
    columns = COLUMNS

    def _rows(self) -> Iterator[PlacedRow]:
        start = self._earliest() if self.options.sorting else None
        for at in self._lines():
            ticks = self._ticks(at)
            if start is None:
                start = ticks
            if self.header is None:
                self.header = TraceHeader(
                    vllm_sim_trace=1,
                    provenance={"format": "azure", "start_time": wall_clock(start)},
                )
            if ticks < start:
                self._fail(
                    f"TIMESTAMP {at.cells['TIMESTAMP']} is before that of the first row; sort the "
                    "rows with `vllm sim trace convert --sort`",
                    at.line,
                )
            row = self._row(
                at.line,
                timestamp=(ticks - start) / _TICKS,
                input_length=self._count(at, "ContextTokens"),
                output_length=self._count(at, "GeneratedTokens"),
                extra={name: at.cells[name] for name in at.cells if name not in COLUMNS},
            )
            yield PlacedRow(at.line, at.offset, row)

    def _earliest(self) -> int | None:
        """The time of the earliest row, which is not the first in a file out of order."""
        earliest = min((self._ticks(at) for at in self._lines()), default=None)
        self._file.seek(0)
        return earliest

    def _ticks(self, at: CsvLine) -> int:
        text = at.cells["TIMESTAMP"].strip()
        try:
            return parse_clock(text)
        except ValueError:
            self._fail(
                "TIMESTAMP must be a wall clock time like 2023-11-16 18:17:03.9799600, is "
                f"{text!r}",
                at.line,
            )


def parse_clock(text: str) -> int:
    """A wall clock time in units of 100 ns. ``datetime`` alone would drop the seventh digit.

    Raises:
        ValueError: It is none.
    """
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise ValueError(text)
    date, clock, fraction, zone = match.groups()
    zone = "+00:00" if zone in (None, "Z") else zone
    moment = datetime.fromisoformat(f"{date}T{clock}{zone}")
    return int(moment.timestamp()) * _TICKS + int((fraction or "").ljust(9, "0")[:7] or 0)


def wall_clock(ticks: int) -> str:
    seconds, rest = divmod(ticks, _TICKS)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{rest:07d}"


class AzureWriter:
    def __init__(self, out: BinaryIO, header: TraceHeader | None, options: WriteOptions) -> None:
        self.notes: Counter[str] = Counter()
        self._out = out
        self._start = self._start_ticks(header, options)
        out.write(csv_line(COLUMNS))

    @staticmethod
    def _start_ticks(header: TraceHeader | None, options: WriteOptions) -> int:
        start = options.start_time
        if start is None and header is not None and isinstance(header.provenance, dict):
            start = header.provenance.get("start_time")
        if start is None:
            raise ValueError(
                "azure has wall clock times and the trace does not say when it began; say it with "
                "--start-time '2024-01-01 00:00:00'"
            )
        try:
            return parse_clock(start)
        except ValueError:
            raise ValueError(
                f"--start-time must look like 2024-01-01 00:00:00, is {start!r}"
            ) from None

    def write(self, row: TraceRow) -> None:
        ticks = self._start + round(needed(row, "timestamp") * _TICKS)
        lengths = needed(row, "input_length"), needed(row, "output_length")
        self._out.write(csv_line((wall_clock(ticks), *lengths)))

    def finish(self) -> None:
        pass


def _sniff(sample: Sample) -> bool:
    return set(COLUMNS) <= set(sample.columns)


FORMAT = Format(
    name="azure",
    title="Azure LLM inference trace",
    sniff=_sniff,
    reader=AzureReader,
    writer=AzureWriter,
    says=frozenset({"timestamp", "input_length", "output_length"}),
)
