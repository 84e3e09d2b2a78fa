"""How a run's cache went over time, in a bounded number of intervals."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np

from ..clock import NS_PER_S
from .prefix_log import REMOVED, STORED, Columns

_INTERVALS = 240


class UsedBlocks:
    """Blocks that requests hold, step by step: 16 bytes a step."""

    def __init__(self) -> None:
        self._time_ns, self._used = array("q"), array("q")

    def add(self, time_ns: int, used_blocks: int) -> None:
        self._time_ns.append(time_ns)
        self._used.append(used_blocks)

    def peaks(self, edges_ns: np.ndarray) -> list[int]:
        """The largest number in each interval; what it was before where it has no step."""
        used = np.array(self._used, dtype=np.int64)
        peaks = np.full(len(edges_ns) - 1, -1, dtype=np.int64)
        np.maximum.at(peaks, _interval(np.array(self._time_ns), edges_ns), used)
        held, last = [], 0
        for peak in peaks.tolist():
            last = peak if peak >= 0 else last
            held.append(last)
        return held


def series(log: Columns, used: UsedBlocks) -> dict[str, Any]:
    """Columns of equal length, one value an interval.

    ``hit_rate`` is of the prompt tokens admitted in the interval, null without any;
    ``cached_blocks`` are contents in the cache at its end; ``used_blocks`` the most that
    requests held in it.
    """
    end_ns = max(int(log.time_ns.max(initial=0)), 1)
    edges = np.linspace(0, end_ns, _INTERVALS + 1)
    at = _interval(log.admitted_ns, edges)
    asked = np.bincount(at, log.prompt_tokens, minlength=_INTERVALS)
    found = np.bincount(at, log.cached_tokens, minlength=_INTERVALS)
    lengths = np.diff(log.start)
    entered = np.where(log.kind == STORED, lengths, 0) - np.where(log.kind == REMOVED, lengths, 0)
    cached = np.cumsum(np.bincount(_interval(log.time_ns, edges), entered, minlength=_INTERVALS))
    return {
        "time_s": [edge / NS_PER_S for edge in edges[1:].tolist()],
        "prompt_tokens": asked.astype(int).tolist(),
        "hit_rate": [
            hits / tokens if tokens else None
            for hits, tokens in zip(found.tolist(), asked.tolist(), strict=True)
        ],
        "cumulative_hit_rate": (np.cumsum(found) / np.maximum(np.cumsum(asked), 1)).tolist(),
        "cached_blocks": cached.astype(int).tolist(),
        "used_blocks": used.peaks(edges),
    }


def _interval(time_ns: np.ndarray, edges_ns: np.ndarray) -> np.ndarray:
    """Which interval each time lies in; an edge belongs to the one that it begins."""
    last = len(edges_ns) - 2
    return np.clip(np.searchsorted(edges_ns, time_ns, side="right") - 1, 0, last)
