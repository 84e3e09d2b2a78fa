"""The cache-size curve: against a plain LRU, and against vLLM's block manager at six sizes."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from prefix.conftest import Facts, RunPrefix
from vllm.sim.metrics.prefix_blocks import blocks_of
from vllm.sim.metrics.prefix_curve import cache_curve
from vllm.sim.metrics.prefix_log import PrefixLog

BLOCK = 4
SIZES = (66, 80, 100, 130, 160, 220)  # in blocks; the largest request needs 65


def _chains(seed: int) -> list[list[int]]:
    """Paths in a random tree: as a hash of everything before it, a number has one parent."""
    draw = random.Random(seed)
    chains: list[list[int]] = [[]]
    fresh = 1
    asked = []
    for _ in range(150):
        chain = list(draw.choice(chains))
        chain = chain[: draw.randint(0, len(chain))]
        for _ in range(draw.randint(1, 4)):
            chain.append(fresh)
            fresh += 1
        chains.append(chain)
        asked.append(list(draw.choice(chains[1:])))
    return asked


def _lru_hits(chains: list[list[int]], size: int) -> int:
    """A cache that forgets the block unused for longest, of one chain the last one first."""
    order: list[int] = []  # least recent first
    hits = 0
    for chain in chains:
        cached = set(order[-size:]) if size else set()
        for at in chain:
            if at not in cached:
                break
            hits += 1
        order = [at for at in order if at not in set(chain)] + chain[::-1]
    return hits


@pytest.mark.parametrize("seed", range(4))
def test_it_is_lru_at_every_size(seed: int) -> None:
    chains = _chains(seed)
    log = PrefixLog(BLOCK)
    for number, chain in enumerate(chains):
        hashes = np.array(chain, dtype=np.uint64)
        log.stored(number, chain)
        log.admitted(f"r{number}", number, BLOCK * len(chain) + 1, 0, hashes)
        log.ended(number, number, hashes[:0])
    columns = log.columns()
    curve = cache_curve(columns, blocks_of(columns), BLOCK)
    distinct = len({at for chain in chains for at in chain})
    for size in [*range(0, distinct, 7), distinct]:
        assert curve.hits[size] == _lru_hits(chains, size), size
    whole = int(curve.hits[-1])
    needed = curve.blocks_for(0.9)
    assert curve.hits[needed] >= 0.9 * whole > curve.hits[needed - 1]


@pytest.mark.engine
def test_the_block_manager_does_as_the_curve_says(
    run_prefix: RunPrefix, infinite: Facts, sessions_trace: Path
) -> None:
    """One request at a time: what is off is the partial block that a running request holds."""
    curve = infinite["cache_curve"]
    points = dict(map(tuple, curve["points"]))
    rates = []
    for size in SIZES:
        facts = run_prefix(sessions_trace, blocks=size + 1)
        estimate = facts["cache_curve"]["estimate_for_this_cache"]
        assert facts["prefix_cache_hit_rate"] == pytest.approx(estimate, abs=0.01), size
        assert facts["cache_curve"]["points"] == curve["points"]
        rates.append(facts["prefix_cache_hit_rate"])
    assert rates == sorted(rates) and rates[0] < 0.7 * rates[-1]
    assert rates[-1] == pytest.approx(max(points.values()))
