"""When requests come, as ``vllm bench serve`` has it.

Its request rate and burstiness are a gamma process: gaps of mean ``1 / rate`` and shape
``burstiness``, so 1 is Poisson, below 1 is bursty, and towards infinity the gaps are
all the same. It then scales the times so that the last request comes at exactly
``requests / rate``: runs of different seeds offer the same load. So does this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from .random_streams import stream

Process = Literal["poisson", "gamma", "constant", "burst"]


@dataclass(frozen=True)
class Arrivals:
    """An arrival process.

    Args:
        rate: Requests a second.
        process: ``poisson`` is gamma of burstiness 1, ``constant`` of infinite burstiness;
            ``burst`` sends ``burst_size`` requests at once, then waits until the rate holds.
        burstiness: The shape of the gamma process.
        burst_size: None sends everything at time 0.
    """

    rate: float
    process: Process = "poisson"
    burstiness: float = 1.0
    burst_size: int | None = None

    def times(self, requests: int, seed: int) -> npt.NDArray[np.float64]:
        """Seconds from the start, one a request, ascending."""
        if self.process == "burst":
            if self.burst_size is None:
                return np.zeros(requests)
            bursts = np.arange(requests) // self.burst_size
            return bursts * np.float64(self.burst_size / self.rate)
        if self.process == "constant" or (self.process == "gamma" and np.isinf(self.burstiness)):
            return np.arange(1, requests + 1) / self.rate
        shape = self.burstiness if self.process == "gamma" else 1.0
        gaps = stream(seed, "arrivals").gamma(shape, 1 / (self.rate * shape), requests)
        times = np.cumsum(gaps)
        if requests and times[-1] > 0:
            times *= requests / self.rate / times[-1]
        return times
