"""The text after the colon in ``--sim-latency NAME:key=value,key=value``."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from typing import NoReturn

from ..errors import LatencyError

_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "": 1.0}
_DURATION = re.compile(r"([0-9.]+(?:e[+-]?[0-9]+)?)(s|ms|us|ns|)", re.IGNORECASE)


class Parameters:
    """The parameters of one latency model, each read at most once.

    Args:
        model: The name before the colon.
        text: What stands after it; empty: no parameters.
        known: The keys that the model has.

    Raises:
        LatencyError: The text is malformed, or a key is unknown or given twice.
    """

    def __init__(self, model: str, text: str, known: Collection[str]) -> None:
        self._model = model
        self._values: dict[str, str] = {}
        for part in text.split(",") if text else ():
            key, equals, value = (piece.strip() for piece in part.partition("="))
            if not (key and equals and value):
                raise LatencyError(
                    f"--sim-latency {model}: expected key=value, got {part.strip()!r}"
                )
            if key not in known:
                raise LatencyError(
                    f"--sim-latency {model}: unknown key {key!r}; known are {', '.join(known)}"
                )
            if key in self._values:
                raise LatencyError(f"--sim-latency {model}: {key} is given twice")
            self._values[key] = value

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)

    def seconds(self, key: str, default: float) -> float:
        """A duration >= 0: ``0.02``, ``0.02s``, ``20ms``, ``350us``. A plain number is seconds."""
        if key not in self._values:
            return default
        match = _DURATION.fullmatch(self._values[key])
        try:
            seconds = float(match[1]) * _UNITS[match[2].lower()] if match else None
        except ValueError:
            seconds = None
        if seconds is None or not math.isfinite(seconds):
            self._refuse(key, "a duration such as 0.02, 20ms or 350us")
        return seconds

    def number(self, key: str, default: float, above: float = -math.inf) -> float:
        """A finite number, above ``above``."""
        if key not in self._values:
            return default
        try:
            value = float(self._values[key])
        except ValueError:
            value = math.nan
        if not above < value < math.inf:
            wanted = "a number" if above == -math.inf else f"a number above {above:g}"
            self._refuse(key, wanted)
        return value

    def non_negative(self, key: str, default: float) -> float:
        value = self.number(key, default)
        if value < 0:
            self._refuse(key, "a number, 0 or above")
        return value

    def _refuse(self, key: str, wanted: str) -> NoReturn:
        raise LatencyError(
            f"--sim-latency {self._model}: {key} must be {wanted}, is {self._values[key]!r}"
        )
