"""Which rows repeat an earlier row, at 24 bytes a row."""

from __future__ import annotations

import hashlib
from array import array

import msgspec
import numpy as np

from .schema import TraceRow


class Duplicates(msgspec.Struct, frozen=True):
    """Rows whose prompt an earlier row has.

    ``other_answer`` counts those that answer it differently. The first such pair is
    named by row numbers, which count from 1 without a header: not every format has lines.
    """

    rows: int = 0
    other_answer: int = 0
    first_row: int | None = None
    first_repeats: int | None = None


class DuplicateFinder:
    """Collects digests, and sorts them at the end: a set would take ten times the memory."""

    def __init__(self) -> None:
        self._prompts, self._answers, self._rows = array("Q"), array("Q"), array("Q")
        self._seen = 0

    def add(self, row: TraceRow) -> None:
        self._seen += 1
        prompt = prompt_key(row)
        if prompt is None:
            return
        self._prompts.append(digest(prompt))
        self._answers.append(digest((row.response, row.response_token_ids, row.output_length)))
        self._rows.append(self._seen)

    def found(self) -> Duplicates:
        if not self._rows:
            return Duplicates()
        prompts = np.frombuffer(self._prompts, dtype=np.uint64)
        answers = np.frombuffer(self._answers, dtype=np.uint64)
        order = np.argsort(prompts, kind="stable")
        repeats = np.flatnonzero(prompts[order][1:] == prompts[order][:-1]) + 1
        if not len(repeats):
            return Duplicates()
        later, earlier = order[repeats], order[repeats - 1]
        first = int(np.argmin(later))
        return Duplicates(
            rows=len(repeats),
            other_answer=int((answers[later] != answers[earlier]).sum()),
            first_row=self._rows[int(later[first])],
            first_repeats=self._rows[int(earlier[first])],
        )


def prompt_key(row: TraceRow) -> object | None:
    """What makes two prompts the same; None where only their length is known."""
    if row.prompt_token_ids is not None:
        return ("ids", row.prompt_token_ids)
    if row.messages is not None:
        return ("messages", row.messages, row.tools)
    if row.prompt is not None:
        return ("prompt", row.prompt)
    if row.hash_ids:
        return ("hash_ids", row.hash_ids, row.input_length)
    return None


def digest(value: object) -> int:
    """64 bits of a value, the same in every process."""
    packed = msgspec.json.encode(value)
    return int.from_bytes(hashlib.blake2b(packed, digest_size=8).digest(), "little")
