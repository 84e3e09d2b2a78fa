"""Prompts put together from pieces that several prompts share, as hash ids."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple


class Piece(NamedTuple):
    """Tokens that are the same wherever the name is."""

    name: str
    tokens: int


def hash_ids(pieces: Sequence[Piece], block_size: int) -> list[int]:
    """The ids of a prompt's blocks, the partial last one included.

    Equal exactly where the same tokens of the same pieces fill the block, so pieces need
    not be whole blocks long. 63 bits of a digest: no table of what was made before.
    """
    ids: list[int] = []
    content: list[tuple[str, int, int]] = []
    room = block_size
    for name, tokens in pieces:
        at = 0
        while at < tokens:
            taken = min(room, tokens - at)
            content.append((name, at, taken))
            at, room = at + taken, room - taken
            if not room:
                ids.append(_digest(content))
                content, room = [], block_size
    if content:
        ids.append(_digest(content))
    return ids


def _digest(content: list[tuple[str, int, int]]) -> int:
    packed = hashlib.blake2b(repr(content).encode(), digest_size=8).digest()
    return int.from_bytes(packed, "little") >> 1
