"""Mean and percentiles of a column that is too long for a list of Python ints."""

from __future__ import annotations

from array import array
from typing import Any

import msgspec
import numpy as np


class Summary(msgspec.Struct, frozen=True):
    """One column in five numbers. Percentiles interpolate, as ``numpy.percentile`` does."""

    count: int
    mean: float
    p50: float
    p95: float
    max: float
    total: float


def summarize(values: array[Any]) -> Summary | None:
    """None of an empty column."""
    if not values:
        return None
    column = np.frombuffer(values, dtype=values.typecode)
    p50, p95 = np.percentile(column, (50, 95))
    return Summary(
        count=len(column),
        mean=float(column.mean()),
        p50=float(p50),
        p95=float(p95),
        max=float(column.max()),
        total=float(column.sum(dtype=np.float64)),
    )
