"""Runs held side by side: what was set differently, and how each figure moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from ..records import RequestRecord
from .compare_steps import Parting
from .requests import RequestTally
from .steps import StepTally
from .summary import LATENCIES, summarize

Better = Literal["lower", "higher", "neither"]

# Neither set by anyone nor a figure of the engine.
_ASIDE = {"complete", "schema_version", "wall_seconds", "simulated_seconds"}


@dataclass(frozen=True)
class Run:
    """One run. ``name`` is for people, and unique among those that are compared."""

    name: str
    folder: Path
    summary: Mapping[str, Any]
    requests: Mapping[str, RequestRecord]  # by id


@dataclass(frozen=True)
class Figure:
    """One key of ``summary.json``; a share is a part of 1."""

    key: str
    label: str
    better: Better
    share: bool = False


FIGURES = (
    *(
        Figure(f"{statistic}_{name}_ms", f"{statistic} {name.upper()} (ms)", "lower")
        for name in LATENCIES
        for statistic in ("mean", "median", "p90", "p99")
    ),
    Figure("duration", "duration (s)", "lower"),
    Figure("request_throughput", "requests/s", "higher"),
    Figure("output_throughput", "output tokens/s", "higher"),
    Figure("completed", "completed requests", "higher"),
    Figure("failed", "failed requests", "lower"),
    Figure("steps", "steps", "neither"),
    Figure("busy_seconds", "time in steps (s)", "lower"),
    Figure("preemptions", "preemptions", "lower"),
    Figure("prefix_cache_hit_rate", "prefix cache hit rate", "higher", share=True),
    Figure("peak_running", "peak running", "neither"),
    Figure("peak_waiting", "peak waiting", "lower"),
    Figure("peak_kv_usage", "peak KV cache usage", "neither", share=True),
    Figure("in_domain_share", "steps in the domain", "higher", share=True),
)


@dataclass(frozen=True)
class Shift:
    """How much sooner or later the requests of a run ended than those of the first."""

    both: int  # requests that ended in both
    sooner: int
    later: int
    most: list[tuple[str, int]]  # id, change of E2E latency in ns; the greatest ones


@dataclass(frozen=True)
class Comparison:
    """Everything about some runs. What is relative is relative to the first."""

    runs: Sequence[Run]
    configuration: dict[str, list[Any]]  # only what differs; None where a run does not say
    figures: list[tuple[Figure, list[float | None]]]
    partings: list[Parting | None]  # None for schedules that are the same to the end
    shifts: list[Shift]

    def changes(self, values: Sequence[float | None]) -> list[float | None]:
        """The others' values against the first one's, as parts of 1."""
        first = values[0]
        return [
            None if value is None or not first else (value - first) / first for value in values[1:]
        ]


def compare_runs(runs: Sequence[Run], partings: Sequence[Parting | None]) -> Comparison:
    """Compare two or more runs; the schedules have been compared already."""
    return Comparison(
        runs,
        _configuration([run.summary for run in runs]),
        [(figure, [run.summary.get(figure.key) for run in runs]) for figure in FIGURES],
        list(partings),
        [_shift(runs[0].requests, run.requests) for run in runs[1:]],
    )


def configuration_of(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What was set: every key that is not a figure."""
    figures = summarize(RequestTally(), StepTally())
    return {
        key: value for key, value in summary.items() if key not in figures and key not in _ASIDE
    }


def _configuration(summaries: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    said = [configuration_of(summary) for summary in summaries]
    keys = dict.fromkeys(chain.from_iterable(said))
    rows = {key: [one.get(key) for one in said] for key in keys}
    return {key: row for key, row in rows.items() if any(value != row[0] for value in row)}


def _shift(
    first: Mapping[str, RequestRecord], other: Mapping[str, RequestRecord], most: int = 3
) -> Shift:
    changes = []
    for request_id, record in other.items():
        before = first.get(request_id)
        if before is not None and before.e2el_ns is not None and record.e2el_ns is not None:
            changes.append((request_id, record.e2el_ns - before.e2el_ns))
    moved = sorted((one for one in changes if one[1]), key=lambda one: (-abs(one[1]), one[0]))
    return Shift(
        len(changes),
        sum(change < 0 for _, change in changes),
        sum(change > 0 for _, change in changes),
        moved[:most],
    )
