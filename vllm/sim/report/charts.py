"""The picture of a run: what each step ran, the queues, the KV cache, and every request."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import SettingsError
from .timeline_colours import DECODE, PREEMPTED, PREFILL, STATES, WAITING
from .timeline_lives import Life
from .timeline_series import StepSeries

_DPI = 110
_MOST_STEPS = 4000
_MOST_REQUESTS = 400  # more than that and a row is thinner than a pixel
_RUNNING = "#2b2f38"
_SECONDS = 1e9

Values = npt.NDArray[np.float64]


def draw_timeline(series: StepSeries, lives: Sequence[Life], title: str, path: Path) -> None:
    """Five panels over one time axis.

    Args:
        series: The steps.
        lives: The requests, a row each, the first on top.
        path: The name's ending says which kind of picture (.png, .svg, .pdf).

    Raises:
        SettingsError: It cannot be written there.
    """
    from matplotlib.figure import Figure  # no pyplot: it would look for a display

    shown = lives[:_MOST_REQUESTS]
    rows_height = min(max(1.6, 0.16 * len(shown)), 7.0)
    figure = Figure(figsize=(12, 7.5 + rows_height), layout="constrained")
    tokens, batch, queues, blocks, requests = figure.subplots(
        5, 1, sharex=True, height_ratios=[1.9, 1.9, 1.9, 1.9, rows_height]
    )
    columns = series.columns(_MOST_STEPS)
    times = _Times(columns)
    figure.suptitle(f"{title}: {len(series):,} steps, {len(lives):,} requests")
    _draw_phases(tokens, times, columns["prefill_tokens"], columns["decode_tokens"])
    _draw_phases(batch, times, columns["prefills"], columns["decodes"])
    tokens.set_ylabel("tokens a step")
    batch.set_ylabel("requests a step")
    _draw_queues(queues, times, columns)
    _draw_blocks(blocks, times, columns)
    _draw_requests(requests, shown, len(lives))
    requests.set_xlabel("time (s)")
    for axes in (tokens, batch, queues, blocks):
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.25)
        _legend(axes)
    try:
        figure.savefig(path, dpi=_DPI)
    except (OSError, ValueError) as error:
        raise SettingsError(f"--png {path} cannot be written: {error}") from None


class _Times:
    """Steps as stairs over time, with nothing where the engine was idle."""

    def __init__(self, columns: dict[str, Values]) -> None:
        starts, ends = columns["start_ns"] / _SECONDS, columns["end_ns"] / _SECONDS
        self._idle = np.flatnonzero(starts[1:] > ends[:-1]) + 1
        edges = np.insert(starts, self._idle, ends[self._idle - 1])
        self.edges = np.append(edges, ends[-1:])

    def stairs(self, values: Values, idle: float = 0.0) -> Values:
        return np.insert(values, self._idle, idle)


def _draw_phases(axes: Any, times: _Times, prefill: Values, decode: Values) -> None:
    """Prefill on top of decode."""
    prefill, decode = times.stairs(prefill), times.stairs(decode)
    axes.stairs(
        prefill + decode, times.edges, baseline=decode, fill=True, color=PREFILL, label="prefill"
    )
    axes.stairs(decode, times.edges, fill=True, color=DECODE, label="decode")


def _draw_queues(axes: Any, times: _Times, columns: dict[str, Values]) -> None:
    waiting, running = (times.stairs(columns[name]) for name in ("waiting", "running"))
    axes.stairs(waiting, times.edges, fill=True, color=WAITING, alpha=0.8, label="waiting")
    axes.stairs(running, times.edges, color=_RUNNING, lw=1.3, baseline=None, label="running")
    axes.set_ylabel("requests")


def _draw_blocks(axes: Any, times: _Times, columns: dict[str, Values]) -> None:
    total = np.maximum(columns["used_blocks"] + columns["free_blocks"], 1)
    used = 100 * columns["used_blocks"] / total
    axes.stairs(times.stairs(used), times.edges, color="#3a9a6b", fill=True, alpha=0.5, label="KV")
    at = np.flatnonzero(columns["preempted"])
    if len(at):
        axes.plot(
            columns["start_ns"][at] / _SECONDS, used[at], "v", color=PREEMPTED, ms=6,
            label=f"preemptions ({int(columns['preempted'].sum())})",
        )  # fmt: skip
    axes.set_ylabel("KV blocks in use (%)")


def _draw_requests(axes: Any, lives: Sequence[Life], of: int) -> None:
    for state, colour in STATES.items():
        bars = [
            (span.start_ns, span.end_ns, row)
            for row, life in enumerate(lives)
            for span in life.spans
            if span.state == state
        ]
        if not bars:
            continue
        starts, ends, rows = (np.array(each, dtype=np.float64) for each in zip(*bars, strict=True))
        # An edge of its own, in the same colour, keeps a bar visible that is below a pixel.
        axes.barh(
            rows, (ends - starts) / _SECONDS, left=starts / _SECONDS, height=0.72, color=colour,
            edgecolor="white" if state == "prefill" and len(lives) <= 40 else colour,
            linewidth=0.4, label=state,
        )  # fmt: skip
    ended = [
        (life.end_ns / _SECONDS, row)
        for row, life in enumerate(lives)
        if life.record is not None and life.record.finish_reason in ("stop", "length")
    ]
    if ended:
        axes.plot(*zip(*ended, strict=True), "|", color=_RUNNING, ms=5, label="finished")
    axes.set_ylim(len(lives) - 0.4, -0.6)
    if len(lives) <= 40:
        axes.set_yticks(range(len(lives)), [life.id for life in lives], fontsize=7)
    axes.set_ylabel("requests" if of == len(lives) else f"the first {len(lives)} of {of} requests")
    _legend(axes)


def _legend(axes: Any) -> None:
    """Above the panel, where it hides nothing."""
    axes.legend(
        loc="lower right", bbox_to_anchor=(1, 1), fontsize=8, ncols=6, frameon=False,
        borderpad=0.2, borderaxespad=0.0,
    )  # fmt: skip
