"""``report.html``: everything about one run on one page, from its three files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..metrics.compare import configuration_of
from ..metrics.folder import REQUESTS, SUMMARY, read_requests, read_summary
from ..metrics.requests import RequestTally
from ..metrics.summary import LATENCIES
from ..records import RequestRecord
from ..step_log import read_steps, step_log_path
from . import page_distributions
from .page import fill_page, write_page
from .timeline_lives import Life, Lives
from .timeline_series import StepSeries

REPORT = "report.html"
_MOST_STEPS = 20_000
_MOST_REQUESTS = 2_000
_SHARED_SHOWN = 10
_STATES = ("waiting", "prefill", "decode", "preempted", "stalled")  # places are page_report.js's
_COLUMNS = {
    "prefill": "prefill_tokens", "decode": "decode_tokens", "prefills": "prefills",
    "decodes": "decodes", "running": "running", "waiting": "waiting", "used": "used_blocks",
    "free": "free_blocks", "preempted": "preempted", "cached": "cached_tokens",
    "outside": "out_of_domain", "sampled": "sampled",
}  # fmt: skip
_TILES = (
    ("completed", "completed requests", "{:,}"),
    ("failed", "failed requests", "{:,}"),
    ("duration", "seconds", "{:,.2f}"),
    ("request_throughput", "requests/s", "{:,.2f}"),
    ("output_throughput", "output tokens/s", "{:,.1f}"),
    ("total_token_throughput", "tokens/s, prompts too", "{:,.1f}"),
    ("total_input_tokens", "prompt tokens", "{:,}"),
    ("total_output_tokens", "output tokens", "{:,}"),
    ("steps", "engine steps", "{:,}"),
    ("preemptions", "preemptions", "{:,}"),
    ("prefix_cache_hit_rate", "prefix cache hits", "{:.1%}"),
    ("peak_kv_usage", "peak KV cache usage", "{:.1%}"),
    ("peak_running", "peak running", "{:,}"),
    ("peak_waiting", "peak waiting", "{:,}"),
)


def write_report(folder: Path, path: Path | None = None, rank: int = 0) -> Path:
    """Write a run's page; returns where.

    Args:
        folder: Of the run. A step log alone is enough; what is missing is left out.
        path: Where to; by default ``report.html`` in the folder.
        rank: Which engine of a data-parallel server.

    Raises:
        RecordingError: A file of the run is broken, or there is no step log.
        SettingsError: The page cannot be written.
    """
    path = path or folder / REPORT
    requests = list(read_requests(folder)) if (folder / REQUESTS).exists() else []
    summary = read_summary(folder) if (folder / SUMMARY).exists() else {}
    lives, series = Lives(requests), StepSeries()
    for step in read_steps(step_log_path(folder, rank)):
        lives.add(step)
        series.add(step)
    name = folder.resolve().name
    data = _data(summary, requests, lives.all(), series)
    write_page(path, fill_page(name, ("page_charts.js", "page_report.js"), data), "--html")
    return path


def _data(
    summary: Mapping[str, Any],
    requests: Iterable[RequestRecord],
    lives: list[Life],
    series: StepSeries,
) -> dict[str, Any]:
    tally = RequestTally()
    for record in requests:
        tally.add(record)
    return {
        "subtitle": _subtitle(summary, series),
        "incomplete": "" if summary.get("complete", True) else "Interrupted: until then.",
        "tiles": [
            [label, form.format(summary[key])] for key, label, form in _TILES if key in summary
        ],
        "latencies": _latencies(summary),
        "confidence": _confidence(summary, series),
        "distributions": page_distributions.as_json(tally) if tally.completed else [],
        "steps": _steps(series),
        "requests": _requests(lives),
        "prefix": _prefix(tally),
        "shared": _shared(lives),
        "configuration": [[key, str(value)] for key, value in configuration_of(summary).items()],
    }


def _subtitle(summary: Mapping[str, Any], series: StepSeries) -> str:
    if not summary:
        return f"{len(series):,} steps; no summary.json in this folder"
    facts = [summary.get(key) for key in ("model_id", "trace", "latency")]
    return " · ".join(str(fact) for fact in facts if fact)


def _latencies(summary: Mapping[str, Any]) -> list[list[str]]:
    if not summary:
        return []
    statistics = ("mean", "median", "p90", "p95", "p99")
    return [
        [name.upper(), *(f"{summary[f'{each}_{name}_ms']:,.2f}" for each in statistics)]
        for name in LATENCIES
    ]


def _confidence(summary: Mapping[str, Any], series: StepSeries) -> list[list[str]]:
    columns = series.columns()
    outside = int(columns["out_of_domain"].sum())
    durations = columns["end_ns"] - columns["start_ns"]
    busy_ns = float(durations.sum()) or 1.0
    outside_ns = float((durations * columns["out_of_domain"]).sum())
    return [
        ["step times from", str(summary.get("latency", "the run itself"))],
        ["steps in its domain", f"{1 - outside / max(len(series), 1):.2%} of {len(series):,}"],
        ["time in its domain", f"{1 - outside_ns / busy_ns:.2%} of {busy_ns / 1e9:,.3f} s"],
    ]


def _steps(series: StepSeries) -> dict[str, Any]:
    columns = series.columns(_MOST_STEPS)
    together = series.together(_MOST_STEPS)
    first = series.first_step
    return {
        "together": together,
        "number": [first + place * together for place in range(len(columns["start_ns"]))],
        "start": (columns["start_ns"] / 1e6).round(4).tolist(),
        "end": (columns["end_ns"] / 1e6).round(4).tolist(),
        **{
            name: [int(value) if value == int(value) else round(value, 2) for value in column]
            for name, column in ((name, columns[of].tolist()) for name, of in _COLUMNS.items())
        },
    }


def _requests(lives: list[Life]) -> dict[str, Any]:
    shown = lives[:_MOST_REQUESTS]
    note = "One row a request, in the order of arrival."
    if len(shown) < len(lives):
        note += f" The first {len(shown):,} of {len(lives):,}."
    return {"note": note, "rows": [_row(life) for life in shown]}


def _row(life: Life) -> dict[str, Any]:
    record, facts = life.record, []
    if record is not None:
        facts = [
            f"{record.prompt_tokens} prompt tokens, {record.cached_tokens} of them cached",
            f"{record.output_tokens} output tokens, {record.finish_reason}",
        ]
        if record.ttft_ns is not None:
            facts.append(f"TTFT {record.ttft_ns / 1e6:.2f} ms")
    if life.preemptions:
        facts.append(f"preempted {life.preemptions} times")
    return {
        "id": life.id,
        "facts": facts,
        "spans": [
            [
                _STATES.index(span.state), round(span.start_ns / 1e6, 4),
                round(span.end_ns / 1e6, 4), span.first_step, span.last_step, span.tokens,
            ]
            for span in life.spans
        ],
    }  # fmt: skip


def _prefix(tally: RequestTally) -> list[list[str]]:
    if not tally.admitted_tokens:
        return []
    share = tally.cached_tokens / tally.admitted_tokens
    return [
        ["prompt tokens looked up", f"{tally.admitted_tokens:,}"],
        ["found in the cache", f"{tally.cached_tokens:,}"],
        ["share", f"{share:.2%}"],
    ]


def _shared(lives: list[Life]) -> list[list[str]]:
    """The requests that found most."""
    found = [life.record for life in lives if life.record is not None and life.record.cached_tokens]
    found.sort(key=lambda record: -record.cached_tokens)
    return [
        [
            record.id, f"{record.prompt_tokens:,}", f"{record.cached_tokens:,}",
            f"{record.cached_tokens / record.prompt_tokens:.1%}",
        ]
        for record in found[:_SHARED_SHOWN]
    ]  # fmt: skip
