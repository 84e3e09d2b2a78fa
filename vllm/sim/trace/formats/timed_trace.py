"""``vllm bench serve --dataset-name timed_trace``: block size and time unit are options there.

Without options vLLM reads seconds and 16-token blocks; so does this reader.
"""

from __future__ import annotations

from typing import Any

from ..schema import TraceRow
from .base import Format, Sample
from .length_rows import COLUMNS, LengthRowReader, LengthRowWriter, four_columns, looks_like

BLOCK_SIZE = 16


class TimedTraceReader(LengthRowReader):
    name = "timed-trace"
    block_size = BLOCK_SIZE
    time_unit = "s"


class TimedTraceWriter(LengthRowWriter):
    """Keeps the block size of the rows; the note says which option vLLM then needs."""

    def _more(self, row: TraceRow) -> dict[str, Any]:
        if row.block_size != BLOCK_SIZE:
            self.notes[f"rows for vLLM's --timed-trace-chunk-hash-size {row.block_size}"] += 1
        return {}


def _sniff(sample: Sample) -> bool:
    return four_columns(sample) and looks_like(sample, BLOCK_SIZE, whole_ticks=False)


FORMAT = Format(
    name="timed-trace",
    title="vLLM timed trace",
    sniff=_sniff,
    reader=TimedTraceReader,
    writer=TimedTraceWriter,
    says=frozenset(COLUMNS) | {"block_size"},
    needs_ids=True,
)
