"""Hash ids under another block size, and ids for prompts that have tokens.

An id of ``_fresh`` is 63 bits of a digest: the same in every process, without a table
of everything seen, and an integer that every JSON reader takes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

_MAX_ID = 2**63


def reblock(
    hash_ids: Sequence[int], input_length: int, old: int, new: int, row_key: int
) -> list[int]:
    """The ids of the same prompt in blocks of ``new`` tokens.

    A smaller block is exact: equal ids stay equal, unequal ones unequal. A larger one
    is equal where all blocks inside it are, so sharing that is shorter is lost. Tokens
    after the last id get ids that no other row has, because nothing says that they are
    shared; the result covers the whole prompt.

    Args:
        row_key: A number that no other row of the trace has.

    Raises:
        ValueError: Neither block size divides the other.
    """
    covered = list(hash_ids) + [
        _fresh("tail", row_key, at) for at in range(len(hash_ids), -(-input_length // old))
    ]
    if old == new:
        return covered
    if old % new == 0:
        return list(_split(covered, input_length, old, new))
    if new % old == 0:
        step = new // old
        return [_fresh("joined", *covered[at : at + step]) for at in range(0, len(covered), step)]
    raise ValueError(
        f"has hash ids of {old} tokens, which cannot be said in blocks of {new}: one must divide "
        "the other"
    )


def _split(covered: list[int], input_length: int, old: int, new: int) -> Iterator[int]:
    parts = old // new
    small = max(covered, default=0) < _MAX_ID // parts
    for at in range(-(-input_length // new)):
        block, part = divmod(at, parts)
        yield covered[block] * parts + part if small else _fresh("part", covered[block], part)


def ids_of_tokens(tokens: Sequence[int], block_size: int) -> list[int]:
    """Chained ids of a prompt's own tokens, the partial last block included."""
    column = np.asarray(tokens, dtype="<i8")
    chain, ids = b"", []
    for at in range(0, len(column), block_size):
        piece = column[at : at + block_size].tobytes()
        chain = hashlib.blake2b(chain + piece, digest_size=16).digest()
        ids.append(int.from_bytes(chain[:8], "little") >> 1)
    return ids


def unshared_ids(input_length: int, block_size: int, row_key: int) -> list[int]:
    """Ids that no other row has."""
    return [_fresh("unshared", row_key, at) for at in range(-(-input_length // block_size))]


def _fresh(kind: str, *parts: int) -> int:
    text = f"{kind}:{':'.join(map(str, parts))}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1
