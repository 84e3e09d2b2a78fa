"""What a step log says of prefix sharing, when nobody watched the blocks: a live server's, say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..records import StepRecord
from .prefix import distribution
from .prefix_blocks import blocks_of
from .prefix_log import PrefixLog
from .prefix_series import UsedBlocks, series

_UNKNOWN = dict.fromkeys(("mean", "median", "min", "max", "p95"))
_NO_BLOCKS = np.empty(0, dtype=np.uint64)


def steps_facts(
    steps: Iterable[StepRecord], name: str, events: PrefixLog | None = None
) -> dict[str, Any]:
    """``prefix.json`` of a step log.

    A request's prompt is known when its prefill ends. Which block was hit, and how often, is in
    neither steps nor events; these figures are null. ``blocks_reused`` and ``unique_blocks``
    need events.

    Args:
        steps: In order. Requests whose prefill has not ended are left out.
        name: For the table.
        events: What the server's KV cache events said, with the server's block size.
    """
    log, used = PrefixLog(events.block_size if events is not None else 1), UsedBlocks()
    started: dict[str, tuple[int, int]] = {}  # when, and how many tokens were found
    done: set[str] = set()
    for step in steps:
        used.add(step.start_ns, step.used_blocks)
        for request in step.requests:
            if request.id in done:
                continue
            started.setdefault(request.id, (step.start_ns, request.cached_tokens))
            if request.samples:
                at_ns, cached = started.pop(request.id)
                prompt = request.computed_tokens + request.new_tokens
                log.admitted(request.id, at_ns, prompt, cached, _NO_BLOCKS)
                done.add(request.id)
        # An id may come again, for another request.
        done.difference_update(step.finished)
        for request_id in step.finished:
            started.pop(request_id, None)
    columns = log.columns()
    prompt_tokens, shared = int(columns.prompt_tokens.sum()), int(columns.cached_tokens.sum())
    fractions = columns.cached_tokens / np.maximum(columns.prompt_tokens, 1)
    return {
        "name": name,
        "total_requests": len(fractions),
        "prompt_tokens": prompt_tokens,
        "shared_tokens": shared,
        "prefix_cache_hit_rate": shared / prompt_tokens if prompt_tokens else 0.0,
        "blocks_allocated": None,
        "blocks_reused": None if events is None else shared // events.block_size,
        "unique_blocks": None,
        "blocks_evicted": None,
        "block_reuse_rate": None,
        "sharing_fraction": distribution(fractions, np.linspace(0, 1, 21)),
        "block_hit_count": _UNKNOWN,
        "reuse_gap_s": _UNKNOWN,
        "evictions_needed_again": None,
        "prefill_seconds_saved": None,
        **({} if events is None else _of_events(events)),
        "over_time": series(columns, used),
    }


def _of_events(events: PrefixLog) -> dict[str, Any]:

    blocks = blocks_of(events.columns())
    return {
        "block_size": events.block_size,
        "unique_blocks": blocks.unique,
        "blocks_evicted": blocks.evictions,
        "evictions_needed_again": blocks.evictions_needed,
    }
