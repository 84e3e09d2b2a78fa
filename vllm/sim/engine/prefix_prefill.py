"""How long the device would have computed what the cache saved it from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ..clock import NS_PER_S
from ..latency.model import Instant, LatencyModel
from ..records import ScheduledRequest, StepRecord

_ID = "saved"


def prefill_seconds_saved(
    latency: LatencyModel, chunk_tokens: int, requests: Iterable[tuple[int, int]]
) -> float | None:
    """Prefill time of whole prompts, less that of what was left of them, each alone.

    Args:
        latency: Of the simulated device.
        chunk_tokens: The most that one step prefills.
        requests: Prompt tokens and cached tokens of each.

    Returns:
        Seconds; None where the model has no time for prompts (``instant``, or ``recorded``
        without times).
    """
    if isinstance(latency, Instant):
        return None
    saved_ns = 0
    for (prompt, cached), count in Counter(requests).items():
        if not cached:
            continue
        whole_ns = _prefill_ns(latency, chunk_tokens, prompt, 0)
        if not whole_ns:
            return None
        saved_ns += count * (whole_ns - _prefill_ns(latency, chunk_tokens, prompt, cached))
    return saved_ns / NS_PER_S


def _prefill_ns(latency: LatencyModel, chunk_tokens: int, prompt: int, computed: int) -> int:
    """One prompt's prefill from ``computed`` tokens on."""
    total_ns = 0
    latency.admit(_ID, prompt, None, None)
    while computed < prompt:
        new = min(chunk_tokens, prompt - computed)
        request = ScheduledRequest(_ID, new, computed, "prefill", 0, computed + new == prompt)
        step = StepRecord(0, 0, 0, [request], 1, 0, [], [], 0, 0, 0)
        total_ns += latency.step_time(step).duration_ns
        computed += new
    latency.forget(_ID)
    return total_ns
