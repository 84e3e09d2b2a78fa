"""Kernel times of one model on one device, as tables that a step looks up."""

from __future__ import annotations

from dataclasses import dataclass

from ..records import Composition
from .curve import Curve, Surface


@dataclass(frozen=True)
class KernelTables:
    """Microseconds of one rank, all layers.

    Prefill attention is looked up by pairs: a mean over the prompts of a batch would
    overstate it several times.
    """

    linear: Curve  # over tokens: all but attention, lm_head and communication
    communication: Curve  # over tokens
    lm_head: Curve  # over requests
    prefill_attention: Curve  # over (query, key) pairs
    decode_attention: Surface  # over requests, and their mean KV tokens
    mixed_decode_factor: float = 1.0  # on decode attention, in a step that also prefills
    key_walk_us: float = 0.0  # least time of prefill attention, per key of the mean prefill

    def compute_us(self, batch: Composition) -> float:
        """Of a batch that is not empty, communication apart."""
        tokens = batch.prefill_tokens + batch.decodes
        total_us = self.linear(tokens) + self.lm_head(batch.prefills + batch.decodes)
        if batch.decodes:
            decode_us = self.decode_attention(batch.decodes, batch.decode_kv_tokens / batch.decodes)
            total_us += decode_us * (self.mixed_decode_factor if batch.prefills else 1.0)
        if batch.prefills:
            keys = (batch.prefill_cached_tokens + batch.prefill_tokens) / batch.prefills
            # A short suffix on a long prefix has few pairs, and still reads all of its keys.
            reading_us = max(self.decode_attention(batch.prefills, keys), keys * self.key_walk_us)
            total_us += max(self.prefill_attention(batch.prefill_pairs), reading_us)
        return total_us

    def __contains__(self, batch: Composition) -> bool:
        """Whether every look-up lies within its table."""
        prefills, decodes = batch.prefills, batch.decodes
        kv_limit = self.decode_attention.last_column
        keys = batch.prefill_cached_tokens + batch.prefill_tokens
        return (
            batch.prefill_tokens + decodes <= self.linear.last_point
            and batch.prefill_pairs <= self.prefill_attention.last_point
            and max(prefills, decodes) <= self.decode_attention.last_row
            and batch.decode_kv_tokens <= kv_limit * decodes
            and keys <= kv_limit * prefills
        )
