"""How much of the prompts an infinite prefix cache would have held.

A block counts as a hit when an earlier row began with the same blocks up to and
including it. Chains of ids are compared as 64-bit sums of scrambled (id, position),
kept sorted: 8 bytes for each distinct block, where a set would take 70.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .mix import Words, mix

_BATCH_BLOCKS = 1 << 20


class PrefixReuse:
    """Counts hits row by row, in batches."""

    def __init__(self) -> None:
        self.hit_tokens = array("q")  # one a row, in order; complete after finish()
        self._ids, self._starts = array("Q"), array("q", [0])
        self._sizes, self._lengths = array("q"), array("q")
        self._levels: list[Words] = []  # sorted, each at most half as long as the one before

    def add(self, hash_ids: Sequence[int], block_size: int, input_length: int) -> None:
        """The next row; blocks of different sizes never match."""
        self._ids.extend(hash_ids)
        self._starts.append(len(self._ids))
        self._sizes.append(block_size)
        self._lengths.append(input_length)
        if len(self._ids) >= _BATCH_BLOCKS:
            self._flush()

    def finish(self) -> None:
        if self._sizes:
            self._flush()

    @property
    def distinct_blocks(self) -> int:
        return sum(len(level) for level in self._levels)

    def _flush(self) -> None:
        starts = np.frombuffer(self._starts, dtype=np.int64)
        sizes = np.frombuffer(self._sizes, dtype=np.int64)
        lengths = np.frombuffer(self._lengths, dtype=np.int64)
        counts = np.diff(starts)
        row_of = np.repeat(np.arange(len(sizes)), counts)
        position = np.arange(len(row_of)) - starts[:-1][row_of]
        chains = _chains(
            np.frombuffer(self._ids, dtype=np.uint64), position, starts, row_of, sizes[row_of]
        )
        hits = self._seen(chains)
        distinct, first = np.unique(chains, return_index=True)
        # Within the batch: a hit where the first row with this chain is an earlier one.
        hits |= row_of[first][np.searchsorted(distinct, chains)] < row_of
        blocks = np.bincount(row_of[hits], minlength=len(sizes))
        self.hit_tokens.extend(np.minimum(blocks * sizes, lengths).tolist())
        self._remember(distinct)
        self._ids, self._starts = array("Q"), array("q", [0])
        self._sizes, self._lengths = array("q"), array("q")

    def _seen(self, chains: Words) -> npt.NDArray[np.bool_]:
        seen = np.zeros(len(chains), dtype=bool)
        for level in self._levels:
            at = np.minimum(np.searchsorted(level, chains), len(level) - 1)
            seen |= level[at] == chains
        return seen

    def _remember(self, distinct: Words) -> None:
        if not len(distinct):
            return
        new = distinct[~self._seen(distinct)]
        while self._levels and len(self._levels[-1]) <= 2 * len(new):
            new = np.concatenate((self._levels.pop(), new))
            new.sort(kind="stable")  # merges two sorted halves in one pass
        if len(new):
            self._levels.append(new)


def _chains(
    ids: Words,
    position: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    row_of: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
) -> Words:
    """For each block a number that stands for all blocks of its row up to it."""
    scrambled = mix(mix(ids) + mix((position << 24 | sizes).astype(np.uint64)))
    sums = np.concatenate((np.zeros(1, dtype=np.uint64), np.cumsum(scrambled, dtype=np.uint64)))
    return sums[1:] - sums[starts[:-1]][row_of]
