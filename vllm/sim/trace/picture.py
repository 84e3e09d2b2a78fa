"""The picture of ``trace stats``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import SettingsError
from .stats import Columns, TraceStats

_DPI = 110
_BINS = 120


def draw(stats: TraceStats, columns: Columns, path: Path) -> None:
    """Four panels: arrivals over time, both lengths, reuse over the rows.

    Args:
        path: The name's ending says which kind of picture (.png, .svg, .pdf).

    Raises:
        SettingsError: It cannot be written there.
    """
    from matplotlib.figure import Figure  # no pyplot: it would look for a display

    figure = Figure(figsize=(11, 7), layout="constrained")
    arrivals, reuse, inputs, outputs = figure.subplots(2, 2).flat
    figure.suptitle(f"{Path(stats.path).name}: {stats.rows:,} requests")

    arrivals.set(title="arrivals", xlabel="seconds", ylabel="requests a second")
    if stats.arrivals is None:
        _say(arrivals, "no timestamps")
    else:
        counts, edges = np.histogram(columns.timestamps, bins=_BINS)
        width = edges[1] - edges[0]
        arrivals.stairs(counts / width if width else counts, edges, fill=True)

    reuse.set(
        title="prefix reuse under an infinite cache", xlabel="requests", ylabel="% of input tokens"
    )
    if stats.reuse is None:
        _say(reuse, "no hash ids or tokens")
    else:
        hits, total = np.cumsum(columns.reuse_hits), np.cumsum(columns.reuse_inputs)
        # A million points would make the file large and look the same.
        at = np.unique(np.linspace(0, len(hits) - 1, 2000).astype(int))
        reuse.plot(at + 1, 100 * hits[at] / np.maximum(total[at], 1))
        reuse.set_ylim(0, 100)

    for axes, column, what in (
        (inputs, columns.inputs, "input tokens"),
        (outputs, columns.outputs, "output tokens"),
    ):
        axes.set(title=what, xlabel="tokens", ylabel="share of requests at most this long")
        if not column:
            _say(axes, "lengths unknown")
            continue
        ranks = np.linspace(0, 100, 1001)
        axes.plot(np.percentile(column, ranks), ranks / 100)
        axes.set_xscale("symlog")
    try:
        figure.savefig(path, dpi=_DPI)
    except (OSError, ValueError) as error:
        raise SettingsError(f"--plot {path} cannot be written: {error}") from None


def _say(axes: object, text: str) -> None:
    axes.text(0.5, 0.5, text, ha="center", transform=axes.transAxes)  # type: ignore[attr-defined]
