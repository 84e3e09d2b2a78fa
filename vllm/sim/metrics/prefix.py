"""``prefix.json``: what a workload shares. ``docs/metrics.md`` has formulas and units."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..clock import NS_PER_S
from .prefix_blocks import Blocks
from .prefix_log import Columns, PrefixLog

_FRACTION_BINS = 20
_GAP_BINS = 40


def prefix_facts(log: PrefixLog, columns: Columns, blocks: Blocks) -> dict[str, Any]:
    """Counts, rates and distributions of a run."""
    cached = bool(len(blocks.hashes))
    allocated, reused = log.blocks_allocated, log.blocks_reused
    prompt_tokens, shared = int(columns.prompt_tokens.sum()), int(columns.cached_tokens.sum())
    fractions = columns.cached_tokens / np.maximum(columns.prompt_tokens, 1)
    hits = blocks.hits[blocks.stored > 0]
    gaps_s = blocks.gaps_ns / NS_PER_S
    return {
        "total_requests": len(columns.prompt_tokens),
        "prompt_tokens": prompt_tokens,
        "shared_tokens": shared,
        "prefix_cache_hit_rate": shared / prompt_tokens if prompt_tokens else 0.0,
        "blocks_allocated": allocated,
        "blocks_reused": reused,
        # Without prefix caching nothing stands for anything else.
        "unique_blocks": blocks.unique if cached else allocated,
        "blocks_evicted": blocks.evictions,
        "block_reuse_rate": reused / (allocated + reused) if allocated + reused else 0.0,
        "sharing_fraction": distribution(fractions, np.linspace(0, 1, _FRACTION_BINS + 1)),
        "block_hit_count": {
            **distribution(hits),
            "blocks_with_hits": _powers(hits),
        },
        "reuse_gap_s": distribution(gaps_s, _gap_edges(gaps_s)),
        "evictions_needed_again": blocks.evictions_needed,
        "blocks_missed_after_eviction": blocks.missed_again,
        "resumed_cached_tokens": log.resumed_cached_tokens,
    }


def distribution(
    values: npt.NDArray[Any], edges: npt.NDArray[np.float64] | None = None
) -> dict[str, Any]:
    """Mean, median, min, max, p95, number; a histogram where edges are given. 0 of nothing."""
    if not len(values):
        found = dict.fromkeys(("mean", "median", "min", "max", "p95"), 0.0)
    else:
        median, p95 = np.percentile(values, (50, 95))
        found = {
            "mean": float(values.mean()),
            "median": float(median),
            "min": float(values.min()),
            "max": float(values.max()),
            "p95": float(p95),
        }
    facts: dict[str, Any] = {**found, "count": len(values)}
    if edges is not None:
        counts, _ = np.histogram(values, edges)
        facts["histogram"] = {"edges": edges.tolist(), "counts": counts.tolist()}
    return facts


def _powers(hits: npt.NDArray[Any]) -> dict[str, int]:
    """How many blocks had 0, 1, 2-3, 4-7, … hits."""
    found = {"0": int(np.count_nonzero(hits == 0))}
    low = 1
    while low <= hits.max(initial=0):
        high = 2 * low - 1
        name = str(low) if low == high else f"{low}-{high}"
        found[name] = int(np.count_nonzero((hits >= low) & (hits <= high)))
        low *= 2
    return found


def _gap_edges(gaps_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """0, then evenly spaced on a logarithmic scale: gaps reach from milliseconds to hours."""
    longest = max(float(gaps_s.max(initial=0.0)), 0.01)
    return np.concatenate(([0.0], np.geomspace(0.001, longest * 1.001, _GAP_BINS + 1)))
