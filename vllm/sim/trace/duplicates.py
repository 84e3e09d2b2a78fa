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
    named, so that it can be looked at.
    """

    rows: int = 0
    other_answer: int = 0
    first_line: int | None = None
    first_repeats: int | None = None


class DuplicateFinder:
    """Collects digests, and sorts them at the end: a set would take ten times the memory."""

    def __init__(self) -> None:
        self._prompts, self._answers, self._lines = array("Q"), array("Q"), array("Q")

    def add(self, row: TraceRow, line: int) -> None:
        prompt = prompt_key(row)
        if prompt is None:
            return
        self._prompts.append(digest(prompt))
        self._answers.append(digest((row.response, row.response_token_ids, row.output_length)))
        self._lines.append(line)

    def found(self) -> Duplicates:
        if not self._lines:
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
            first_line=self._lines[int(later[first])],
            first_repeats=self._lines[int(earlier[first])],
        )


def prompt_key(row: TraceRow) -> object | None:
    """What makes two prompts the same; None where only their length is known."""
    if row.prompt_token_ids is not None:
        return ("ids", row.prompt_token_ids)
    if row.messages is not None:
        return ("messages", row.messages)
    if row.prompt is not None:
        return ("prompt", row.prompt)
    if row.hash_ids:
        return ("hash_ids", row.hash_ids, row.input_length)
    return None


def digest(value: object) -> int:
    """64 bits of a value, the same in every process."""
    packed = msgspec.json.encode(value)
    return int.from_bytes(hashlib.blake2b(packed, digest_size=8).digest(), "little")
