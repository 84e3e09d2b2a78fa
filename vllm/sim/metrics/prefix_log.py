"""What happened to KV blocks in a run, in order, in columns: the one place that counts it.

A block is known by 64 bits of the hash that vLLM gives its content (and everything before
it), so equal numbers are equal prefixes. Blocks come in runs: the blocks of one prompt, or
of one event. A run costs 25 bytes, a block 8.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]

# What a run is. Within one step the log holds them in this order, so that a request which
# hits what another has stored in the same step comes behind it.
ENDED = 0  # blocks that a request's answer added to its prompt's; it holds none any more
REMOVED = 1  # event: content left the cache
STORED = 2  # event: content entered the cache
ADMITTED = 3  # the whole blocks of a prompt, of which the first ones were hit


class Columns(NamedTuple):
    """The log as arrays."""

    hashes: Hashes
    kind: npt.NDArray[np.uint8]  # one a run, as are the next three
    start: Numbers  # into ``hashes``; one more than there are runs
    time_ns: Numbers
    request: Numbers  # number in order of admission; -1 for events
    prompt_tokens: Numbers  # one a request, as are the next three
    cached_tokens: Numbers
    hit_blocks: Numbers
    admitted_ns: Numbers


class PrefixLog:
    """Written while a run goes.

    Args:
        block_size: Tokens of a block.

    Attributes:
        blocks_allocated: Blocks that requests were given and that held nothing for them yet.
        blocks_reused: Blocks that requests were given with their content, at first admission.
        resumed_cached_tokens: Hits of requests that were preempted and came back; these are
            in no other figure, as in vLLM's own counters.
        request_ids: In order of admission.
    """

    def __init__(self, block_size: int) -> None:
        self.block_size = block_size
        self.blocks_allocated = self.blocks_reused = self.resumed_cached_tokens = 0
        self.request_ids: list[str] = []
        self._hashes = array("Q")
        self._kind, self._start = array("B"), array("q", [0])
        self._time_ns, self._request = array("q"), array("q")
        self._prompt_tokens, self._cached_tokens = array("q"), array("q")
        self._hit_blocks, self._admitted_ns = array("q"), array("q")

    def admitted(
        self, request_id: str, time_ns: int, prompt_tokens: int, cached_tokens: int, hashes: Hashes
    ) -> int:
        """A request is scheduled for the first time.

        Args:
            request_id: As the engine has it.
            time_ns: When.
            prompt_tokens: All of its prompt.
            cached_tokens: The first of them, found in the cache.
            hashes: The whole blocks of the prompt; none without prefix caching.

        Returns:
            The request's number.
        """
        number = len(self.request_ids)
        self.request_ids.append(request_id)
        self._prompt_tokens.append(prompt_tokens)
        self._cached_tokens.append(cached_tokens)
        self._hit_blocks.append(min(cached_tokens // self.block_size, len(hashes)))
        self._admitted_ns.append(time_ns)
        self._hashes.frombytes(hashes.tobytes())
        self._run(ADMITTED, time_ns, number)
        return number

    def ended(self, number: int, time_ns: int, hashes: Hashes) -> None:
        """A request has left; ``hashes`` are the whole blocks behind those of its prompt."""
        self._hashes.frombytes(hashes.tobytes())
        self._run(ENDED, time_ns, number)

    def stored(self, time_ns: int, hashes: Iterable[int]) -> None:
        """Content entered the cache."""
        self._hashes.extend(hashes)
        self._run(STORED, time_ns, -1)

    def removed(self, time_ns: int, hashes: Iterable[int]) -> None:
        """Content was evicted, or a second copy of it was."""
        self._hashes.extend(hashes)
        self._run(REMOVED, time_ns, -1)

    def columns(self) -> Columns:
        """All of it; the arrays are views, so nothing may be written after this."""

        def numbers(column: array[int]) -> Numbers:
            return np.frombuffer(column, dtype=np.int64)

        return Columns(
            hashes=np.frombuffer(self._hashes, dtype=np.uint64),
            kind=np.frombuffer(self._kind, dtype=np.uint8),
            start=numbers(self._start),
            time_ns=numbers(self._time_ns),
            request=numbers(self._request),
            prompt_tokens=numbers(self._prompt_tokens),
            cached_tokens=numbers(self._cached_tokens),
            hit_blocks=numbers(self._hit_blocks),
            admitted_ns=numbers(self._admitted_ns),
        )

    def _run(self, kind: int, time_ns: int, request: int) -> None:
        self._kind.append(kind)
        self._start.append(len(self._hashes))
        self._time_ns.append(time_ns)
        self._request.append(request)
