"""Mooncake's production traces: milliseconds, chained 512-token blocks, ids global to the file."""

from __future__ import annotations

from .base import Format, Sample
from .length_rows import COLUMNS, LengthRowReader, LengthRowWriter, four_columns, looks_like

BLOCK_SIZE = 512


class MooncakeReader(LengthRowReader):
    name = "mooncake"
    block_size = BLOCK_SIZE
    time_unit = "ms"
    whole_ticks = True


class MooncakeWriter(LengthRowWriter):
    def _in_ticks(self, seconds: float) -> float:
        ticks = round(seconds * 1000)
        if abs(seconds * 1000 - ticks) > 1e-6:
            self.notes["timestamps rounded to a millisecond"] += 1
        return ticks


def _sniff(sample: Sample) -> bool:
    return four_columns(sample) and looks_like(sample, BLOCK_SIZE, whole_ticks=True)


FORMAT = Format(
    name="mooncake",
    title="Mooncake trace",
    sniff=_sniff,
    reader=MooncakeReader,
    writer=MooncakeWriter,
    says=frozenset(COLUMNS),
    block_size=BLOCK_SIZE,
    needs_ids=True,
)
