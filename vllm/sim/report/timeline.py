"""The steps of a run in the terminal: a bar for each batch, and the queues beside it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .timeline_colours import DECODE, FREE, PREEMPTED, PREFILL, SIGNS, WAITING
from .timeline_rows import StepRow

if TYPE_CHECKING:
    from rich.text import Text

_NUMBERS = (
    f"{'step':>9} {'at ms':>10} {'took ms':>7}  {'prefill':>7} {'decode':>6} "
    f"{'run':>4} {'wait':>4} {'free':>6}  "
)
_NOTES = 28  # columns kept for what happened
_SHOWN_IDS = 3


def bar_width(width: int) -> int:
    """Columns of the bar on a terminal this wide."""
    return max(8, width - len(_NUMBERS) - _NOTES)


def header(width: int) -> Text:
    """The line above the rows, which is the legend too."""
    from rich.text import Text

    bar = bar_width(width)
    text = Text(_NUMBERS, style="bold")
    legend = f"{SIGNS['prefill']} prefill {SIGNS['decode']} decode"
    text.append(f"{legend[:bar]:<{bar}}")
    return text


def row_text(row: StepRow, most_tokens: int, width: int) -> Text:
    """One row.

    Args:
        most_tokens: What a full bar stands for.
        width: Of the terminal, in columns.
    """
    from rich.text import Text

    steps = f"{row.first}" if row.steps == 1 else f"{row.first}-{row.last}"
    text = Text()
    text.append(f"{steps:>9} {row.start_ns / 1e6:>10.2f} {row.duration_ns / 1e6:>7.2f}  ")
    text.append(f"{row.prefill_tokens or '':>7}", style=PREFILL)
    text.append(f" {row.decode_tokens or '':>6}", style=DECODE)
    text.append(f" {row.running:>4}")
    text.append(f" {row.waiting or '':>4}", style=f"bold {WAITING}")
    text.append(f" {row.free_blocks:>6}  ", style=FREE)
    prefill, decode = _cells(row, most_tokens, bar_width(width))
    text.append(SIGNS["prefill"] * prefill, style=PREFILL)
    text.append(SIGNS["decode"] * decode, style=DECODE)
    text.append(" " * (bar_width(width) - prefill - decode))
    for note, style in _notes(row):
        text.append(f" {note}", style=style)
    return text


def most_tokens_of(rows: Iterable[StepRow]) -> int:
    """Tokens of the largest step."""
    return max((row.prefill_tokens + row.decode_tokens for row in rows), default=1)


def _cells(row: StepRow, most_tokens: int, width: int) -> tuple[int, int]:
    """Columns for prefill and decode. What is there at all gets one."""
    total = row.prefill_tokens + row.decode_tokens
    cells = min(width, max(round(total / max(most_tokens, 1) * width), 1))
    if not row.prefill_tokens:
        return 0, cells if total else 0
    if not row.decode_tokens:
        return cells, 0
    decode = min(max(round(row.decode_tokens / total * cells), 1), max(cells - 1, 1))
    return max(cells - decode, 1), decode


def _notes(row: StepRow) -> list[tuple[str, str]]:
    notes = [
        (f"+{one}" + (f" ({cached} cached)" if cached else ""), PREFILL)
        for one, _, cached in row.admitted[:_SHOWN_IDS]
    ]
    if len(row.admitted) > _SHOWN_IDS:
        notes.append((f"+{len(row.admitted) - _SHOWN_IDS} more", PREFILL))
    notes += [(f"{_ids(row.resumed)} again", PREFILL)] if row.resumed else []
    notes += [(f"preempted {_ids(row.preempted)}", f"bold {PREEMPTED}")] if row.preempted else []
    notes += [(f"ended {_ids(row.finished)}", FREE)] if row.finished else []
    return notes


def _ids(ids: list[str]) -> str:
    more = f" +{len(ids) - _SHOWN_IDS}" if len(ids) > _SHOWN_IDS else ""
    return ",".join(ids[:_SHOWN_IDS]) + more
