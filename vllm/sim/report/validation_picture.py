"""The distributions of a real and a simulated run, drawn over each other."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..metrics.requests import RequestTally
from ..metrics.samples import Samples
from ..records import RequestRecord

_COLOURS = {"real": "#1f77b4", "simulated": "#d62728"}


def draw_comparison(
    real: Iterable[RequestRecord], simulated: Iterable[RequestRecord], title: str, path: Path
) -> None:
    """Cumulative distributions of TTFT, TPOT, ITL and E2EL, as a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    tallies = {"real": _tally(real), "simulated": _tally(simulated)}
    figure, axes = pyplot.subplots(2, 2, figsize=(9, 6), layout="constrained")
    for name, axis in zip(("ttft", "tpot", "itl", "e2el"), axes.flat, strict=True):
        for label, tally in tallies.items():
            samples: Samples = getattr(tally, f"{name}_ns")
            values, counts = samples.counted()
            if len(values):
                share = np.cumsum(counts) / counts.sum()
                style = "-" if label == "real" else "--"
                axis.step(
                    values / 1e6, share, style, where="post", label=label, color=_COLOURS[label]
                )
        axis.set_xlabel(f"{name.upper()} (ms)")
        axis.set_ylabel("share of samples")
        axis.set_ylim(0, 1)
        axis.set_xlim(left=0)
        axis.grid(alpha=0.3)
    axes.flat[0].legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _tally(records: Iterable[RequestRecord]) -> RequestTally:
    tally = RequestTally()
    for record in records:
        tally.add(record)
    return tally
