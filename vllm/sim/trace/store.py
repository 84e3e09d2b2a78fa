"""Prompts to rows: which rows of a trace answer a given prompt.

The index holds a 16-byte digest, a place and the first tokens of each prompt,
never the prompts themselves: about 450 bytes a row. Rows are read again from the
file when they are needed.
"""

from __future__ import annotations

import logging
import time
from array import array
from collections.abc import Callable, Sequence
from hashlib import blake2b
from itertools import islice
from typing import NamedTuple

import numpy as np

from .read import PlacedRow, TraceFile
from .schema import TraceRow

logger = logging.getLogger("vllm.sim.trace")

EncodePrompts = Callable[[Sequence[PlacedRow]], Sequence[Sequence[int]]]

_BATCH_ROWS = 512
_HEAD_TOKENS = 64
_REPORT_EVERY_S = 5.0


class Place(NamedTuple):
    """Where a row stands in its file."""

    offset: int  # bytes
    line: int  # 1-based


class Closest(NamedTuple):
    """The recorded prompt that starts most like one that was not found."""

    placed: PlacedRow
    common_tokens: int  # length of the common prefix, as far as the index knows


def digest(token_ids: Sequence[int]) -> bytes:
    """A prompt's key: 16 bytes, the same in every process."""
    return blake2b(np.asarray(token_ids, dtype="<i8").tobytes(), digest_size=16).digest()


class TraceStore:
    """An index over one trace file, by prompt.

    Args:
        file: The trace. The store reads it again later, so it stays open.
        encode: Rows to prompt token ids, as the engine would see them.

    Raises:
        TraceError: A line is broken.
    """

    def __init__(self, file: TraceFile, encode: EncodePrompts) -> None:
        self._file = file
        self._first: dict[bytes, int] = {}  # digest -> row number
        self._last: dict[bytes, int] = {}  # only where a prompt is recorded several times
        self._next = array("q")  # row number -> the next row with the same prompt, or -1
        self._offsets, self._lines = array("Q"), array("Q")
        self._lengths = array("q")
        heads: list[np.ndarray] = []
        started = reported = time.monotonic()
        rows = iter(file)
        while batch := list(islice(rows, _BATCH_ROWS)):
            block = np.full((len(batch), _HEAD_TOKENS), -1, dtype=np.int32)
            for at, (placed, ids) in enumerate(zip(batch, encode(batch), strict=True)):
                self._add(digest(ids), Place(placed.offset, placed.line))
                self._lengths.append(len(ids))
                head = ids[:_HEAD_TOKENS]
                block[at, : len(head)] = head
            heads.append(block)
            if time.monotonic() - reported > _REPORT_EVERY_S:
                reported = time.monotonic()
                logger.info("%s: %d rows indexed so far", file.path, len(self))
        self._heads = np.concatenate(heads)
        logger.info(
            "%s: %d rows with %d distinct prompts indexed in %.1f s",
            file.path, len(self), len(self._first), time.monotonic() - started,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self._offsets)

    @property
    def distinct_prompts(self) -> int:
        return len(self._first)

    def find(self, prompt_ids: Sequence[int]) -> list[Place]:
        """The rows recorded for a prompt, in recorded order; empty if there is none."""
        places = []
        row = self._first.get(digest(prompt_ids), -1)
        while row >= 0:
            places.append(Place(self._offsets[row], self._lines[row]))
            row = self._next[row]
        return places

    def row(self, place: Place) -> TraceRow:
        """Read a row from the file."""
        return self._file.row_at(place.offset, place.line)

    def closest(self, prompt_ids: Sequence[int]) -> Closest:
        """The row with the longest common prefix, and of those the nearest length."""
        head = np.full(_HEAD_TOKENS, -2, dtype=np.int32)
        wanted = prompt_ids[:_HEAD_TOKENS]
        head[: len(wanted)] = wanted
        common = np.cumprod(self._heads == head, axis=1, dtype=np.int8).sum(axis=1, dtype=np.int32)
        best = np.flatnonzero(common == common.max())
        lengths = np.frombuffer(self._lengths, dtype=np.int64)[best]
        row = int(best[np.abs(lengths - len(prompt_ids)).argmin()])
        place = Place(self._offsets[row], self._lines[row])
        return Closest(PlacedRow(place.line, place.offset, self.row(place)), int(common[row]))

    def _add(self, key: bytes, place: Place) -> None:
        row = len(self._offsets)
        self._offsets.append(place.offset)
        self._lines.append(place.line)
        self._next.append(-1)
        if key in self._first:
            self._next[self._last.get(key, self._first[key])] = row
            self._last[key] = row
        else:
            self._first[key] = row
