"""The distributions of a real and a simulated run, drawn over each other."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..metrics.requests import RequestTally
from ..metrics.samples import Counts, Samples, Values
from ..metrics.summary import LATENCIES
from ..records import RequestRecord

_COLOURS = {"real": "#1f77b4", "simulated": "#d62728"}


def draw_comparison(
    real: Iterable[RequestRecord], simulated: Iterable[RequestRecord], title: str, path: Path
) -> None:
    """Cumulative distributions of TTFT, TPOT, ITL and E2EL, as far as both have them, as a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    tallies = {"real": _tally(real), "simulated": _tally(simulated)}
    shown: dict[str, dict[str, tuple[Values, Counts]]] = {}
    for name in LATENCIES:
        samples = {label: _samples(tally, name) for label, tally in tallies.items()}
        if all(len(values_ns) for values_ns, _ in samples.values()):
            shown[name] = samples
    rows = max(-(-len(shown) // 2), 1)
    figure, axes = pyplot.subplots(
        rows, 2, figsize=(9, 3 * rows), layout="constrained", squeeze=False
    )
    for axis in axes.flat[len(shown) :]:
        axis.set_axis_off()
    for (name, samples), axis in zip(shown.items(), axes.flat, strict=False):
        longest_ns = max(values_ns[-1] for values_ns, _ in samples.values())
        unit, unit_ns = ("s", 1e9) if longest_ns >= 1e10 else ("ms", 1e6)
        for label, (values_ns, counts) in samples.items():
            share = np.cumsum(counts) / counts.sum()
            style = "-" if label == "real" else "--"
            axis.step(
                values_ns / unit_ns, share, style, where="post", label=label, color=_COLOURS[label]
            )
        axis.set_xlabel(f"{name.upper()} ({unit})")
        axis.set_ylabel("share of samples")
        axis.set_ylim(0, 1)
        axis.set_xlim(left=0)
        axis.grid(alpha=0.3)
        axis.legend(loc="best")
    figure.suptitle(title)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _samples(tally: RequestTally, name: str) -> tuple[Values, Counts]:
    """Values of a latency in ns, ascending, and how often each was seen."""
    samples: Samples = getattr(tally, f"{name}_ns")
    return samples.counted()


def _tally(records: Iterable[RequestRecord]) -> RequestTally:
    tally = RequestTally()
    for record in records:
        tally.add(record)
    return tally
