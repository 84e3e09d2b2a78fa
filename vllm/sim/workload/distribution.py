"""Distributions as they are written on the command line.

500               always 500
uniform:100,900   evenly between the two
exponential:500   of mean 500
lognormal:500,1.2 of mean 500, its standard deviation 1.2 times that
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_PARAMETERS = {"constant": 1, "uniform": 2, "exponential": 1, "lognormal": 2}
SPELLINGS = "N, uniform:LOW,HIGH, exponential:MEAN or lognormal:MEAN,CV"


@dataclass(frozen=True)
class Distribution:
    """One of the four, with its parameters."""

    kind: str
    parameters: tuple[float, ...]

    @classmethod
    def parse(cls, text: str) -> Distribution:
        """Read a spelling.

        Raises:
            ValueError: It is none.
        """
        kind, colon, rest = text.partition(":")
        if not colon:
            kind, rest = "constant", text
        try:
            numbers = tuple(float(part) for part in rest.split(","))
        except ValueError:
            numbers = ()
        if len(numbers) != _PARAMETERS.get(kind):
            raise ValueError(f"{text!r} is no distribution; write {SPELLINGS}")
        if not all(0 <= number < math.inf for number in numbers):
            raise ValueError(f"{text!r}: the numbers must be finite and not negative")
        if kind == "uniform" and numbers[0] > numbers[1]:
            raise ValueError(f"{text!r}: LOW is above HIGH")
        if kind == "lognormal" and not all(numbers):
            raise ValueError(f"{text!r}: MEAN and CV must be above 0")
        return cls(kind, numbers)

    def __str__(self) -> str:
        numbers = ",".join(f"{number:g}" for number in self.parameters)
        return numbers if self.kind == "constant" else f"{self.kind}:{numbers}"

    def draw(self, source: np.random.Generator) -> float:
        """One number >= 0."""
        first, *rest = self.parameters
        match self.kind:
            case "constant":
                return first
            case "uniform":
                return float(source.uniform(first, rest[0]))
            case "exponential":
                return float(source.exponential(first))
            case _:
                variance = math.log1p(rest[0] ** 2)
                return float(source.lognormal(math.log(first) - variance / 2, variance**0.5))

    def draw_count(self, source: np.random.Generator, least: int = 1) -> int:
        """One whole number, at least ``least``."""
        if self.kind == "uniform":
            low, high = self.parameters
            return max(least, int(source.integers(round(low), round(high), endpoint=True)))
        return max(least, round(self.draw(source)))
