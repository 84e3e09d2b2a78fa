"""A comparison of runs for the terminal and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..metrics.compare import Comparison, Figure, Shift
from ..metrics.compare_steps import Parting

if TYPE_CHECKING:
    from rich.console import Console

_SHOWN_DIFFERENCES = 6


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Three tables: configuration, figures, schedules."""
    names = [run.name for run in comparison.runs]
    _print_table(
        console, "configuration", names,
        [[key, *map(_said, values)] for key, values in comparison.configuration.items()],
        empty="the same",
    )  # fmt: skip
    _print_table(
        console, "figures", names, [_figure_row(comparison, *row) for row in comparison.figures]
    )
    for run, parting, shift in zip(
        comparison.runs[1:], comparison.partings, comparison.shifts, strict=True
    ):
        console.print(f"\n[bold]schedules[/]: {names[0]} and {run.name}")
        for line in [*parting_lines(parting), shift_line(shift)]:
            console.print("  " + line, markup=False)


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """For programs. ``change`` is against the first run, a part of 1, null where that has no
    meaning."""
    return {
        "runs": [{"name": run.name, "folder": str(run.folder)} for run in comparison.runs],
        "configuration": comparison.configuration,
        "figures": {
            figure.key: {
                "values": values,
                "change": comparison.changes(values),
                "better": figure.better,
            }
            for figure, values in comparison.figures
        },
        "schedules": [
            None
            if parting is None
            else {
                "same_steps": parting.place,
                "at_ns": parting.at_ns,
                "differences": parting.differences,
            }
            for parting in comparison.partings
        ],
        "requests": [
            {"both": one.both, "sooner": one.sooner, "later": one.later, "most": one.most}
            for one in comparison.shifts
        ],
    }


def parting_lines(parting: Parting | None) -> list[str]:
    """Where two schedules part, in words."""
    if parting is None:
        return ["the same in every step"]
    at = " and ".join("none" if at is None else f"{at / 1e6:.2f} ms" for at in parting.at_ns)
    lines = [f"the same for {parting.place} steps; step {parting.place}, at {at}, differs:"]
    for what, one, other in parting.differences[:_SHOWN_DIFFERENCES]:
        lines.append(f"  {what}: {one or 'not there'} | {other or 'not there'}")
    if len(parting.differences) > _SHOWN_DIFFERENCES:
        lines.append(f"  and {len(parting.differences) - _SHOWN_DIFFERENCES} more")
    return lines


def shift_line(shift: Shift) -> str:
    """Which requests won and lost, in words."""
    text = f"of {shift.both} requests {shift.sooner} took less time and {shift.later} more"
    if shift.most:
        moves = ", ".join(f"{name} {change / 1e6:+.1f} ms" for name, change in shift.most)
        text += f"; most of all {moves}"
    return text


def number(figure: Figure, value: float | None) -> str:
    """A figure's value as people read it."""
    if value is None:
        return "-"
    if figure.share:
        return f"{100 * value:.2f} %"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def verdict(figure: Figure, change: float | None) -> str | None:
    """``better``, ``worse``, or None where one cannot say, or it is below a tenth of a percent."""
    if change is None or figure.better == "neither" or abs(change) < 0.001:
        return None
    return "better" if (change < 0) == (figure.better == "lower") else "worse"


def _figure_row(comparison: Comparison, figure: Figure, values: list[float | None]) -> list[str]:
    styles = {"better": "green", "worse": "red", None: "dim"}
    row = [figure.label, number(figure, values[0])]
    for value, change in zip(values[1:], comparison.changes(values), strict=True):
        text = number(figure, value)
        if change:
            text += f" [{styles[verdict(figure, change)]}]{100 * change:+7.1f} %[/]"
        else:
            text += " " * 10
        row.append(text)
    return row


def _print_table(
    console: Console, title: str, names: list[str], rows: list[list[str]], empty: str = ""
) -> None:
    from rich.markup import escape
    from rich.table import Table

    if not rows:
        console.print(f"[bold]{title}[/]: {empty}\n")
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(title)
    for name in names:
        table.add_column(escape(name), justify="right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    if title == "configuration":
        console.print()


def _said(value: Any) -> str:
    from rich.markup import escape

    return "-" if value is None else escape(str(value))
