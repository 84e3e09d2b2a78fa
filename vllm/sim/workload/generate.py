"""A trace from sessions: times put on, written whole, and what was made counted."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from ..trace.formats import WriteOptions
from ..trace.formats.vllm_sim import VllmSimWriter
from ..trace.schema import FORMAT_VERSION, TraceHeader, TraceRow
from ..trace.summary import Summary, summarize
from ..trace.write import whole_file
from .schedule import Schedule


class GenerateReport(msgspec.Struct, frozen=True):
    """What was made."""

    path: str
    mode: str
    sessions: int
    rows: int
    first_s: float | None  # timestamps
    last_s: float | None
    input_tokens: Summary | None
    output_tokens: Summary | None
    dropped: dict[str, int]  # why -> how many


def write_trace(
    sessions: Iterable[list[TraceRow]],
    schedule: Schedule,
    path: Path,
    mode: str,
    provenance: dict[str, Any],
    dropped: Counter[str],
) -> GenerateReport:
    """Write sessions as a trace.

    Args:
        provenance: Goes into the header: everything that the result depends on.
        dropped: Filled while the sessions are read.
    """
    counted = 0

    def count(each: Iterable[list[TraceRow]]) -> Iterable[list[TraceRow]]:
        nonlocal counted
        for rows in each:
            counted += 1
            yield rows

    rows, inputs, outputs = 0, array("q"), array("q")
    first = last = None
    with whole_file(path) as out:
        header = TraceHeader(vllm_sim_trace=FORMAT_VERSION, provenance=provenance)
        writer = VllmSimWriter(out, header, WriteOptions())
        for row in schedule.apply(count(sessions)):
            writer.write(row)
            rows += 1
            if row.timestamp is not None:
                first = row.timestamp if first is None else first
                last = row.timestamp
            if row.input_length is not None:
                inputs.append(row.input_length)
            if row.output_length is not None:
                outputs.append(row.output_length)
        writer.finish()
    return GenerateReport(
        path=str(path),
        mode=mode,
        sessions=counted,
        rows=rows,
        first_s=first,
        last_s=last,
        input_tokens=summarize(inputs),
        output_tokens=summarize(outputs),
        dropped=dict(dropped),
    )
