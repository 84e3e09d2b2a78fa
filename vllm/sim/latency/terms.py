"""The terms that a fitted step time is a sum of: what is counted, and why it costs time."""

from __future__ import annotations

from ..records import Composition

# What each coefficient multiplies. The order is that of `term_values`.
TERM_UNITS = {
    "step": "us per step",  # launch, scheduler, reading every weight once
    "prefill_request": "us per prefill in the step",
    "prefill_pair": "us per (query, key) pair of a prefill",
    "prefill_cached_token": "us per cached token that a prefill reads",
    "decode_request": "us per decode in the step",
    "decode_kv_token": "us per KV token read by decodes",
    # With a prefill beside them, decodes leave the split-KV kernel that reads fastest.
    "mixed_decode_kv_token": "us more per such token beside a prefill",
    # The linear layers: flat while their weights are what is waited for, then a slope.
    "token_to_16": "us per token, the 1st to the 16th",
    "token_to_64": "us per token, the 17th to the 64th",
    "token_to_256": "us per token, the 65th to the 256th",
    "token_above_256": "us per token beyond the 256th",
}
TERMS = tuple(TERM_UNITS)


def term_values(batch: Composition) -> tuple[float, ...]:
    """What the step has of each term, in the order of ``TERMS``; none is below 0."""
    tokens = batch.prefill_tokens + batch.decodes
    return (
        1,
        batch.prefills,
        batch.prefill_pairs,
        batch.prefill_cached_tokens,
        batch.decodes,
        batch.decode_kv_tokens,
        batch.decode_kv_tokens if batch.prefills else 0,
        min(tokens, 16),
        min(max(tokens - 16, 0), 48),
        min(max(tokens - 64, 0), 192),
        max(tokens - 256, 0),
    )
