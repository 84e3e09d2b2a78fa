"""The infinite cache, against one made of a Python set."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm.sim.trace import reuse
from vllm.sim.trace.reuse import PrefixReuse

ROWS = st.lists(st.lists(st.integers(0, 3), max_size=5), min_size=1, max_size=30)


def by_a_set(rows: list[list[int]], size: int) -> list[int]:
    seen: set[tuple[int, ...]] = set()
    hits = []
    for ids in rows:
        starts = [tuple(ids[: n + 1]) for n in range(len(ids))]
        hits.append(sum(start in seen for start in starts) * size)
        seen.update(starts)
    return hits


@given(rows=ROWS, batch=st.sampled_from([1, 3, 7, 1000]))
def test_it_finds_what_a_set_of_prefixes_finds(rows: list[list[int]], batch: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reuse, "_BATCH_BLOCKS", batch)
        cache = PrefixReuse()
        for ids in rows:
            cache.add(ids, 16, len(ids) * 16)
        cache.finish()
    assert list(cache.hit_tokens) == by_a_set(rows, 16)
    assert cache.distinct_blocks == len({tuple(r[: n + 1]) for r in rows for n in range(len(r))})


def test_a_partial_block_counts_its_tokens_only() -> None:
    cache = PrefixReuse()
    cache.add([1, 2], 16, 20)
    cache.add([1, 2], 16, 20)
    cache.finish()
    assert list(cache.hit_tokens) == [0, 20]


def test_blocks_of_another_size_are_others() -> None:
    cache = PrefixReuse()
    cache.add([1], 16, 16)
    cache.add([1], 32, 32)
    cache.finish()
    assert list(cache.hit_tokens) == [0, 0]
