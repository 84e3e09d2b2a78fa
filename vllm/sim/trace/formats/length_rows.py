"""Mooncake, timed-trace and Bailian are one shape: lengths and hash ids, one object a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from ..read import PlacedRow
from ..schema import TraceHeader, TraceRow
from .base import (
    UNITS_PER_SECOND,
    FileReader,
    ReadOptions,
    Sample,
    TimeUnit,
    WriteOptions,
)
from .json_items import read_items

COLUMNS = ("timestamp", "input_length", "output_length", "hash_ids")


class LengthRowReader(FileReader):
    """Rows of lengths and hash ids.

    ``name``, ``block_size`` and ``time_unit`` are the format's own; options given by the
    user win over them.
    """

    name: str
    block_size: int
    time_unit: TimeUnit
    whole_ticks = False  # whether a timestamp with a fraction betrays another unit

    def __init__(self, path: Path, options: ReadOptions) -> None:
        super().__init__(path, options)
        self._block_size = options.block_size or self.block_size
        self._ticks = UNITS_PER_SECOND[options.time_unit or self.time_unit]
        self.header = TraceHeader(vllm_sim_trace=1, provenance={"format": self.name})

    def _rows(self) -> Iterator[PlacedRow]:
        for line, offset, fields in read_items(self._file, self.path):
            self._require(fields, line)
            row = self._row(
                line,
                timestamp=self._seconds(fields["timestamp"], line),
                input_length=fields["input_length"],
                output_length=fields["output_length"],
                hash_ids=fields["hash_ids"],
                block_size=self._block_size,
                **self._more(fields, line),
            )
            self._check_cover(row, line)
            yield PlacedRow(line, offset, row)

    def _more(self, fields: dict[str, Any], line: int) -> dict[str, Any]:
        """What this format has beyond the four columns."""
        return {"extra": {k: v for k, v in fields.items() if k not in COLUMNS}}

    def _require(self, fields: dict[str, Any], line: int) -> None:
        missing = [name for name in COLUMNS if fields.get(name) is None]
        if missing:
            self._fail(f"no {' and no '.join(missing)}; {self.name} rows have all of "
                       + ", ".join(COLUMNS), line)  # fmt: skip

    def _seconds(self, ticks: object, line: int) -> float:
        if isinstance(ticks, bool) or not isinstance(ticks, int | float):
            self._fail(f"timestamp must be a number, is {ticks!r}", line)
        if self.whole_ticks and self.options.time_unit is None and ticks != int(ticks):
            self._fail(
                f"timestamp {ticks} is not whole {self.time_unit}, as {self.name} has them; if it "
                "is in another unit, say --time-unit",
                line,
            )
        return ticks / self._ticks

    def _check_cover(self, row: TraceRow, line: int) -> None:
        assert row.input_length is not None and row.hash_ids is not None
        if not fits(row.input_length, len(row.hash_ids), self._block_size):
            self._fail(
                f"{len(row.hash_ids)} hash_ids of {self._block_size} tokens do not fit an "
                f"input_length of {row.input_length}, which takes "
                f"{-(-row.input_length // self._block_size)}; if an id stands for another number "
                "of tokens, say --hash-block-size",
                line,
            )


def fits(length: int, ids: int, block_size: int) -> bool:
    """Whether ids cover a prompt; the partial last block may go without one."""
    return length // block_size <= ids <= -(-length // block_size)


def looks_like(sample: Sample, block_size: int, whole_ticks: bool) -> bool:
    """Whether every row of a sample could be of this block size and kind of timestamp."""
    rows = 0
    for fields in sample.objects():
        length, ids, ticks = (fields.get(k) for k in ("input_length", "hash_ids", "timestamp"))
        if not isinstance(length, int) or not isinstance(ids, list):
            return False
        if not fits(length, len(ids), block_size):
            return False
        if whole_ticks and not (isinstance(ticks, int) or float(ticks or 0).is_integer()):
            return False
        rows += 1
    return rows > 0


def four_columns(sample: Sample) -> bool:
    """Just the four columns: what Mooncake and vLLM's timed traces look like."""
    return sample.first is not None and not sample.array and sample.first.keys() == set(COLUMNS)


class LengthRowWriter:
    """Rows as lengths and hash ids."""

    time_unit: TimeUnit

    def __init__(self, out: BinaryIO, header: TraceHeader | None, options: WriteOptions) -> None:
        self.notes: Counter[str] = Counter()
        self._out = out

    def write(self, row: TraceRow) -> None:
        fields = {
            "timestamp": needed(row, "timestamp"),
            "input_length": needed(row, "input_length"),
            "output_length": needed(row, "output_length"),
            "hash_ids": needed(row, "hash_ids"),
        }
        fields["timestamp"] = self._in_ticks(fields["timestamp"])
        fields.update(self._more(row))
        self._out.write(msgspec.json.encode(fields) + b"\n")

    def _more(self, row: TraceRow) -> dict[str, Any]:
        return {}

    def _in_ticks(self, seconds: float) -> float:
        return seconds

    def finish(self) -> None:
        pass


WAYS_OUT = {
    "timestamp": "make arrivals with `vllm sim trace generate --arrival-rate`",
    "input_length": "count the text with --tokenizer DIR",
    "output_length": "count the text with --tokenizer DIR",
    "hash_ids": "cut the text with --tokenizer DIR, or say with --unshared that nothing is shared",
}


def needed(row: TraceRow, field: str) -> Any:
    """A field that the format cannot do without.

    Raises:
        ValueError: The row does not have it; says what to do.
    """
    value = getattr(row, field)
    if value is None:
        raise ValueError(f"has no {field}, which the target needs; {WAYS_OUT[field]}")
    return value
