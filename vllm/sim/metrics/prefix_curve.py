"""Hit rate against cache size, for every size at once, from one pass over a run's log.

vLLM evicts the block that has been without an owner for longest, and of one request's
blocks the last one first. So a block is found again by a cache that has room for all
blocks used since, itself included: its reuse distance. A prefix is at least as recent as
what follows it, so distances grow along a prompt, and the blocks of a prompt that were
last held by the same request lie together. That makes one step of the pass a few ranges
instead of thousands of blocks: O(log n) for each range, with a Fenwick tree over the
moments at which requests took or left their blocks.

The estimate knows nothing of blocks that hold no whole content (the tail of each running
request), of duplicates, nor that requests would be admitted and end at other times in a
smaller cache. ``docs/prefix.md`` says how far it is off.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .prefix_blocks import Blocks
from .prefix_log import ADMITTED, ENDED, Columns, Numbers

Indices = npt.NDArray[np.int32]


class CacheCurve:
    """Hits for each size.

    Args:
        hits: ``hits[n]`` is the number of prompt blocks that a cache of ``n`` blocks finds.
        block_size: Tokens of a block.
        prompt_tokens: Of all requests that were looked up.
    """

    def __init__(self, hits: Numbers, block_size: int, prompt_tokens: int) -> None:
        self.hits = hits
        self._block_size, self._prompt_tokens = block_size, prompt_tokens

    def hit_rate(self, blocks: int) -> float:
        """Share of the prompt tokens that a cache of so many blocks would find."""
        if not self._prompt_tokens:
            return 0.0
        found = int(self.hits[min(max(blocks, 0), len(self.hits) - 1)])
        return found * self._block_size / self._prompt_tokens

    @property
    def possible(self) -> float:
        """The hit rate of a cache that never evicts."""
        return self.hit_rate(len(self.hits) - 1)

    def blocks_for(self, share: float) -> int:
        """The smallest cache that finds this share of all possible hits, in blocks."""
        return int(np.searchsorted(self.hits, share * self.hits[-1]))

    def points(self, count: int = 200) -> list[tuple[int, float]]:
        """``(blocks, hit rate)``, evenly spaced in size, with the place of every 10 %."""
        last = self.blocks_for(1.0)
        sizes = {round(last * at / count) for at in range(count + 1)}
        sizes |= {self.blocks_for(tenth / 10) for tenth in range(1, 11)}
        return [(size, self.hit_rate(size)) for size in sorted(sizes)]


class _Fenwick:
    """Sums of ranges of numbers that change."""

    def __init__(self, size: int) -> None:
        self._tree = [0] * (size + 1)
        self.total = 0

    def add(self, at: int, amount: int) -> None:
        self.total += amount
        at += 1
        while at < len(self._tree):
            self._tree[at] += amount
            at += at & -at

    def behind(self, at: int) -> int:
        """The sum of everything after ``at``."""
        found, at = self.total, at + 1
        while at:
            found -= self._tree[at]
            at &= at - 1
        return found


def cache_curve(log: Columns, blocks: Blocks, block_size: int) -> CacheCurve:
    """One pass over the log of a run with prefix caching, of any cache size."""
    change = np.zeros(len(blocks.hashes) + 2, dtype=np.int64)
    _Pass(log, blocks, block_size, change).run()
    return CacheCurve(np.cumsum(change), block_size, int(log.prompt_tokens.sum()))


class _Pass:
    """A moment is one at which a request takes blocks, or leaves them."""

    def __init__(self, log: Columns, blocks: Blocks, block_size: int, change: Numbers) -> None:
        self._log, self._blocks, self._block_size = log, blocks, block_size
        self._change = change  # of the hits, from one size to the next
        self._used_at = np.full(len(blocks.hashes), -1, dtype=np.int32)  # moment of each block
        moments = int(np.count_nonzero((log.kind == ADMITTED) | (log.kind == ENDED)))
        self._held = _Fenwick(moments)  # blocks that were last used at each moment
        self._first = [0] * moments  # the place in its chain of the first such block
        self._moment = 0
        self._prompts: dict[int, Indices] = {}  # of requests on their way

    def run(self) -> None:
        log = self._log
        for run in np.flatnonzero((log.kind == ADMITTED) | (log.kind == ENDED)).tolist():
            chain = self._blocks.number_of[log.start[run] : log.start[run + 1]]
            number = int(log.request[run])
            if log.kind[run] == ADMITTED:
                self._look_up(chain, number)
                self._use(chain)
                self._prompts[number] = chain
            else:
                prompt = self._prompts.pop(number)
                self._use(np.concatenate((prompt, chain)) if len(chain) else prompt)

    def _ranges(self, chain: Indices) -> list[tuple[int, int, int]]:
        """``(from, to, moment)`` of blocks that were last used at the same moment."""
        if not len(chain):
            return []
        moments = self._used_at[chain]
        cuts = [0, *(np.flatnonzero(moments[1:] != moments[:-1]) + 1).tolist(), len(chain)]
        starts = moments[cuts[:-1]].tolist()
        return list(zip(cuts[:-1], cuts[1:], starts, strict=True))

    def _look_up(self, chain: Indices, number: int) -> None:
        # vLLM always computes the last token of a prompt, so it cannot be found.
        limit = (int(self._log.prompt_tokens[number]) - 1) // self._block_size
        for begin, end, moment in self._ranges(chain[:limit]):
            if moment < 0:  # never seen, and nothing behind it can be found
                return
            nearest = self._held.behind(moment) + begin - self._first[moment] + 1
            # Each further block of the range needs a cache that is one larger.
            self._change[nearest : nearest + end - begin] += 1

    def _use(self, chain: Indices) -> None:
        moment, self._moment = self._moment, self._moment + 1
        for begin, end, before in self._ranges(chain):
            if before >= 0:
                self._held.add(before, begin - end)
                self._first[before] = end
        self._used_at[chain] = moment
        self._held.add(moment, len(chain))


def curve_dict(curve: CacheCurve, bytes_per_block: int | None) -> dict[str, Any]:
    """What ``prefix.json`` says of it."""
    needed = {}
    for share in (0.5, 0.8, 0.9, 0.95, 0.99, 1.0):
        blocks = curve.blocks_for(share)
        size = None if bytes_per_block is None else blocks * bytes_per_block / 2**30
        needed[f"{share:g}"] = {
            "blocks": blocks, "gib": size, "hit_rate": curve.hit_rate(blocks),
        }  # fmt: skip
    return {
        "possible_hit_rate": curve.possible,
        "blocks_for_share_of_possible_hits": needed,
        "points": [[blocks, rate] for blocks, rate in curve.points()],
    }
