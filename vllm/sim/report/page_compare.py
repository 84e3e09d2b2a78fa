"""The page of a comparison of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..metrics.compare import Comparison, Figure, Run
from ..metrics.requests import RequestTally
from .compare import number, parting_lines, shift_line, verdict
from .page import fill_page, write_page
from .page_distributions import DISTRIBUTIONS, points, samples_of


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write it.

    Raises:
        SettingsError: It cannot be written there.
    """
    names = [run.name for run in comparison.runs]
    page = fill_page(" | ".join(names), ("page_charts.js", "page_compare.js"), _data(comparison))
    write_page(path, page, "--html")


def _data(comparison: Comparison) -> dict[str, Any]:
    names = [run.name for run in comparison.runs]
    samples = [samples_of(_tally(run)) for run in comparison.runs]
    return {
        "subtitle": f"{len(names)} runs side by side",
        "runs": names,
        "configuration": [
            [key, *("-" if value is None else str(value) for value in values)]
            for key, values in comparison.configuration.items()
        ],
        "schedules": [
            {
                "name": f"{names[0]} and {run.name}",
                "lines": [*parting_lines(parting), shift_line(shift)],
            }
            for run, parting, shift in zip(
                comparison.runs[1:], comparison.partings, comparison.shifts, strict=True
            )
        ],
        "figures": [_row(comparison, figure, values) for figure, values in comparison.figures],
        "distributions": [
            {
                "name": name,
                "note": "share of samples that are at most as long",
                "series": [points(of_run[place]) for of_run in samples],
            }
            for place, (name, _) in enumerate(DISTRIBUTIONS)
        ],
    }


def _tally(run: Run) -> RequestTally:
    tally = RequestTally()
    for record in run.requests.values():
        tally.add(record)
    return tally


def _row(comparison: Comparison, figure: Figure, values: list[float | None]) -> list[Any]:
    """A cell is its text, or its text and its class."""
    row: list[Any] = [figure.label, number(figure, values[0])]
    for value, change in zip(values[1:], comparison.changes(values), strict=True):
        text = number(figure, value)
        row.append([f"{text}  {100 * change:+.1f} %" if change else text,
                    verdict(figure, change) or ""])  # fmt: skip
    return row
