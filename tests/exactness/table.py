"""The table: scenario x {steps compared, differences}."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from support.script import Run


class Row(NamedTuple):
    """One script under one setup; all counts but the last are those of the real run."""

    setup: str
    script: str
    steps: int
    requests: int
    preempted: int
    cached_tokens: int
    differences: int


def row(setup: str, script: str, real: Run, found: Sequence[str]) -> Row:
    return Row(
        setup,
        script,
        steps=len(real.steps),
        requests=len({id for step in real.steps for id in step.new}),
        preempted=sum(len(step.preempted) for step in real.steps),
        cached_tokens=sum(step.computed[id] for step in real.steps for id in step.new),
        differences=len(found),
    )


def exactness_table(rows: Sequence[Row]) -> str:
    """Markdown, with the sums in the last line."""
    total = Row("total", "", *(sum(column) for column in list(zip(*rows, strict=True))[2:]))
    header = Row(
        "setup", "script", "steps", "requests", "preempted", "cached tokens", "differences"
    )  # type: ignore[arg-type]
    cells = [[str(cell) for cell in one] for one in (header, *rows, total)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| "
        + " | ".join(
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in cells
    ]
    ruler = [("-" * (width + 1) + (":" if at >= 2 else "-")) for at, width in enumerate(widths)]
    return "\n".join([lines[0], "|" + "|".join(ruler) + "|", *lines[1:]])
