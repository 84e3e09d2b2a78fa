"""Samples of one quantity, and the statistics that ``vllm bench serve`` reports of them."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

PERCENTILES = (50, 90, 95, 99)

Values = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


class Samples:
    """Values one by one: 8 bytes each."""

    def __init__(self) -> None:
        self._values = array("d")

    def add(self, value: float) -> None:
        self._values.append(value)

    def counted(self) -> tuple[Values, Counts]:
        """The distinct values, ascending, and how often each was seen."""
        return np.unique(np.array(self._values), return_counts=True)

    def mean(self) -> float:
        """0.0 without samples."""
        values, counts = self.counted()
        return float(values @ counts / counts.sum()) if len(values) else 0.0

    def std(self) -> float:
        """Of the population; 0.0 without samples."""
        values, counts = self.counted()
        if not len(values):
            return 0.0
        return float(np.sqrt((values - self.mean()) ** 2 @ counts / counts.sum()))

    def percentiles(self, percents: Iterable[float] = PERCENTILES) -> list[float]:
        """Linearly interpolated, as ``numpy.percentile`` has it; 0.0 without samples."""
        values, counts = self.counted()
        if not len(values):
            return [0.0 for _ in percents]
        last = np.cumsum(counts) - 1  # rank of the last sample of each value
        found = []
        for percent in percents:
            rank = percent / 100 * last[-1]
            low = values[np.searchsorted(last, int(rank))]
            high = values[np.searchsorted(last, min(int(rank) + 1, last[-1]))]
            found.append(float(low + (high - low) * (rank - int(rank))))
        return found


class RepeatedSamples(Samples):
    """Values that repeat: what is kept grows with the distinct ones.

    All tokens that two steps deliver have the same gap between them, so the gaps of a run
    take about as many values as it has steps.
    """

    def __init__(self) -> None:
        self._counts: Counter[float] = Counter()

    def add(self, value: float) -> None:
        self._counts[value] += 1

    def extend(self, values: Iterable[float]) -> None:
        self._counts.update(values)

    def counted(self) -> tuple[Values, Counts]:
        items = sorted(self._counts.items())
        return (
            np.array([value for value, _ in items], dtype=np.float64),
            np.array([count for _, count in items], dtype=np.int64),
        )
