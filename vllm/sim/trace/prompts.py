"""Length and hash-id rows to prompts: equal ids give equal blocks, unequal ones never do.

A block is written in cells of 16 tokens. A cell opens with two numbers of 64 bits in
digits of the vocabulary: the id, scrambled by a bijection, and the scope, masked by the
first. Both can be computed back, so two cells are equal only where id and scope are. It
takes no table, and nothing of Python's ``hash``, which differs from process to process.
(A scope's name counts by 64 bits of its BLAKE2b digest.)

The digits of one number take 4 tokens of a vocabulary of 128k, 8 of 256. Different
blocks part within these, so a KV block of at least that many tokens is never shared by
mistake, whichever divisor of the trace's block size it is. A partial last block is the
start of its id's block.

Tokens that no id covers are written in the same way out of the row's number, in a scope
of their own: no two rows share them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from .mix import Words, mix
from .schema import TraceRow

Tokens = npt.NDArray[np.int64]

_CELL = 16
_MIN_VOCABULARY = 256  # the two numbers must fit into a cell
_MAX_ID = 2**64 - 1


class PromptBuilder:
    """Builds prompts for rows without text.

    Args:
        token_ids: The ids to draw from: no special tokens, see :func:`plain_token_ids`.
        scope: Ids of different scopes never share a block. One trace is one scope.

    Raises:
        ValueError: Fewer than 256 ids.
    """

    def __init__(self, token_ids: range, scope: str = "") -> None:
        if token_ids.step != 1 or len(token_ids) < _MIN_VOCABULARY:
            raise ValueError(
                f"at least {_MIN_VOCABULARY} consecutive token ids are needed to keep blocks "
                f"apart, got {token_ids}"
            )
        self._low, self._base = token_ids.start, np.uint64(len(token_ids))
        self._digits = 1
        while len(token_ids) ** self._digits <= _MAX_ID:
            self._digits += 1
        self._blocks = _key("block", scope)
        self._rows = _key("row", scope)

    def block(self, hash_id: int, length: int) -> list[int]:
        """The tokens of one id's block, or its first ``length``."""
        return self._write([hash_id], length, self._blocks)[0].tolist()

    def prompt(self, row: TraceRow, row_number: int, block_size: int | None = None) -> Tokens:
        """The prompt of a row.

        Args:
            row: Has ``input_length``, perhaps ``hash_ids``.
            row_number: Another for every row of the trace: its line.
            block_size: Tokens a hash id stands for where the row does not say.

        Returns:
            ``input_length`` token ids, int64.

        Raises:
            ValueError: The row has hash ids and nobody knows of how many tokens, or an id
                is too large.
        """
        if row.input_length is None:
            raise ValueError("the row has no input_length to build a prompt from")
        length, ids = row.input_length, row.hash_ids or []
        size = row.block_size or block_size
        if not ids:
            return self._write([row_number], length, self._rows)[0]
        if not size:
            raise ValueError("the row has hash_ids and no block_size")
        if max(ids) > _MAX_ID:
            raise ValueError(f"hash id {max(ids)} is above {_MAX_ID}")
        covered = self._write(ids, size, self._blocks).reshape(-1)[:length]
        if len(covered) == length:
            return covered
        tail = self._write([row_number], length - len(covered), self._rows)[0]
        return np.concatenate((covered, tail))

    def _write(self, ids: Sequence[int], length: int, key: int) -> Tokens:
        """``length`` tokens for each id, shape (ids, length)."""
        cells = -(-length // _CELL)
        # A key for each cell, so that a long block does not repeat itself.
        cell_keys = mix(np.arange(cells, dtype=np.uint64) ^ np.uint64(key))
        names = np.array(ids, dtype=np.uint64)[:, None]
        name = mix(names ^ cell_keys)
        scope = mix(name) ^ np.uint64(key)
        tokens = np.empty((len(ids), cells, _CELL), dtype=np.uint64)
        self._spell(name, tokens[:, :, : self._digits])
        self._spell(scope, tokens[:, :, self._digits : 2 * self._digits])
        filler = _CELL - 2 * self._digits
        if filler:
            positions = np.arange(filler, dtype=np.uint64)
            tokens[:, :, 2 * self._digits :] = mix(name[:, :, None] + positions) % self._base
        return tokens.reshape(len(ids), -1)[:, :length].astype(np.int64) + self._low

    def _spell(self, numbers: Words, out: Words) -> None:
        """A number in digits of the vocabulary, the lowest first."""
        rest = numbers
        for at in range(self._digits):
            rest, out[:, :, at] = np.divmod(rest, self._base)


def plain_token_ids(vocabulary_size: int, special_ids: Iterable[int] = ()) -> range:
    """The longest run of ids without a special one.

    Args:
        vocabulary_size: Ids are below it.
        special_ids: BOS, EOS and whatever else must not stand in a prompt.
    """
    best, start = range(0), 0
    for special in sorted({each for each in special_ids if each < vocabulary_size}):
        if special - start > len(best):
            best = range(start, special)
        start = special + 1
    return range(start, vocabulary_size) if vocabulary_size - start > len(best) else best


def _key(kind: str, scope: str) -> int:
    packed = hashlib.blake2b(f"{kind}\0{scope}".encode(), digest_size=8).digest()
    return int.from_bytes(packed, "little")
