"""Distributions as a few points, for charts on pages."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..metrics.requests import RequestTally
from ..metrics.samples import Samples

_MOST_POINTS = 300

# name, what a sample is
DISTRIBUTIONS = (
    ("Time to first token (ms)", "of requests"),
    ("Inter-token latency (ms)", "of gaps"),
    ("End-to-end latency (ms)", "of requests"),
    ("Time per output token (ms)", "of requests"),
)


def samples_of(tally: RequestTally) -> tuple[Samples, ...]:
    """In the order of :data:`DISTRIBUTIONS`."""
    return tally.ttft_ns, tally.itl_ns, tally.e2el_ns, tally.tpot_ns


def points(samples: Samples) -> dict[str, list[float]]:
    """``values`` in ms, and the share of samples that are at most each of them."""
    values, counts = samples.counted()
    if not len(values):
        return {"values": [], "shares": []}
    shares = np.cumsum(counts) / counts.sum()
    if len(values) > _MOST_POINTS:
        # Evenly spread over the samples, and the greatest one for certain.
        wanted = np.linspace(shares[0], 1.0, _MOST_POINTS)
        at = np.unique(np.minimum(np.searchsorted(shares, wanted - 1e-12), len(values) - 1))
        values, shares = values[at], shares[at]
    return {
        "values": [round(float(value) / 1e6, 4) for value in values],
        "shares": [round(float(share), 5) for share in shares],
    }


def chart_note(samples: Samples) -> str:
    """A line under the heading."""
    _, counts = samples.counted()
    return f"share of {int(counts.sum()):,} samples that are at most as long"


def as_json(tally: RequestTally) -> list[dict[str, Any]]:
    """All distributions of one run."""
    return [
        {"name": name, "unit": unit, "note": chart_note(samples), **points(samples)}
        for (name, unit), samples in zip(DISTRIBUTIONS, samples_of(tally), strict=True)
    ]
