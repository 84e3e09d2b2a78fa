"""Each block of a run's log: its uses, the gaps between them, what became of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .prefix_log import ADMITTED, REMOVED, STORED, Columns, Hashes, Numbers

_HIT, _MISS, _STORED, _REMOVED, _OTHER = range(5)


@dataclass(frozen=True)
class Blocks:
    """All different contents of a run, in the order of their hashes.

    Attributes:
        number_of: For each hash in the log, which block it is.
        hashes: 64 bits of each block's hash.
        hits: How often each was found in the cache.
        stored: How often it entered the cache; more than once after an eviction, or where two
            requests computed it at the same time.
        first_run: The run of the log that names it first in a prompt; -1 in answers only.
        first_place: Which block of that run it is, from 0: its place in the prompt.
        first_ns: Its first use.
        last_ns: Its last use.
        gaps_ns: Between a hit and the use before it, for all blocks together.
        evictions: Contents that left the cache.
        evictions_needed: Of these, how many a later request missed or stored again.
        missed_again: Prompt blocks that were missed though the cache had once held them.
    """

    number_of: npt.NDArray[np.int32]
    hashes: Hashes
    hits: Numbers
    stored: Numbers
    first_run: Numbers
    first_place: Numbers
    first_ns: Numbers
    last_ns: Numbers
    gaps_ns: Numbers
    evictions: int
    evictions_needed: int
    missed_again: int

    @property
    def unique(self) -> int:
        """Different contents that entered the cache."""
        return int(np.count_nonzero(self.stored))


def blocks_of(log: Columns) -> Blocks:
    """Sort a log by block. Memory: some 60 bytes for each hash in the log, while it runs."""
    hashes, inverse = np.unique(log.hashes, return_inverse=True)
    number_of: npt.NDArray[np.int32] = inverse.astype(np.int32)
    del inverse
    count = len(hashes)
    lengths = np.diff(log.start)
    what = _what(log, lengths)
    time_ns = np.repeat(log.time_ns, lengths)
    hit, stored = what == _HIT, what == _STORED

    # A use is a hit or a store; sorted by block, in order, each hit follows the use before it.
    uses = np.flatnonzero(hit | stored)
    uses = uses[np.argsort(number_of[uses], kind="stable")]
    block, at_ns = number_of[uses], time_ns[uses]
    follows = np.zeros(len(uses), dtype=bool)
    follows[1:] = block[1:] == block[:-1]
    is_gap = follows & hit[uses]
    gaps_ns = at_ns[is_gap] - at_ns[np.flatnonzero(is_gap) - 1]
    first_ns, last_ns = np.zeros(count, np.int64), np.zeros(count, np.int64)
    last_ns[block] = at_ns  # the last assignment to an index stays
    first_ns[block[::-1]] = at_ns[::-1]
    del uses, block, at_ns, follows, is_gap

    first_run, first_place = _first_places(log, lengths, what, number_of, count)
    evictions_needed, missed_again = _needed_again(what, number_of)
    return Blocks(
        number_of=number_of,
        hashes=hashes,
        hits=np.bincount(number_of[hit], minlength=count),
        stored=np.bincount(number_of[stored], minlength=count),
        first_run=first_run,
        first_place=first_place,
        first_ns=first_ns,
        last_ns=last_ns,
        gaps_ns=gaps_ns,
        evictions=int(np.count_nonzero(what == _REMOVED)),
        evictions_needed=evictions_needed,
        missed_again=missed_again,
    )


def _what(log: Columns, lengths: Numbers) -> npt.NDArray[np.uint8]:
    """For each hash in the log, what happened to its block."""
    admitted = log.kind == ADMITTED
    hit_blocks = np.zeros(len(lengths), dtype=np.int64)
    hit_blocks[admitted] = log.hit_blocks[log.request[admitted]]
    kinds = np.full(len(lengths), _OTHER, dtype=np.uint8)
    kinds[admitted], kinds[log.kind == STORED] = _MISS, _STORED
    kinds[log.kind == REMOVED] = _REMOVED
    what = np.repeat(kinds, lengths)
    place = np.arange(len(what)) - np.repeat(log.start[:-1], lengths)
    what[place < np.repeat(hit_blocks, lengths)] = _HIT
    return what


def _first_places(
    log: Columns,
    lengths: Numbers,
    what: npt.NDArray[np.uint8],
    number_of: npt.NDArray[np.int32],
    count: int,
) -> tuple[Numbers, Numbers]:
    asked = np.flatnonzero((what == _HIT) | (what == _MISS))
    run, place = np.full(count, -1, np.int64), np.zeros(count, np.int64)
    runs = np.repeat(np.arange(len(lengths)), lengths)[asked]
    run[number_of[asked][::-1]] = runs[::-1]
    place[number_of[asked][::-1]] = (asked - log.start[:-1][runs])[::-1]
    return run, place


def _needed_again(what: npt.NDArray[np.uint8], number_of: npt.NDArray[np.int32]) -> tuple[int, int]:
    """Evictions that something was missed by, and misses that an eviction caused."""
    if not np.any(what == _REMOVED):
        return 0, 0
    told = np.flatnonzero(what != _OTHER)
    told = told[np.argsort(number_of[told], kind="stable")]
    block, event = number_of[told], what[told]
    same = block[1:] == block[:-1]
    needed = same & (event[:-1] == _REMOVED) & ((event[1:] == _MISS) | (event[1:] == _STORED))
    # Evictions so far, of the same block: a running count less what it was where the block began.
    evicted = np.cumsum(event == _REMOVED)
    begins = np.concatenate(([True], ~same))
    before = (evicted - (event == _REMOVED))[begins][np.cumsum(begins) - 1]
    missed = (event == _MISS) & (evicted > before)
    return int(np.count_nonzero(needed)), int(np.count_nonzero(missed))
