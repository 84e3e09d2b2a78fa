"""Is this trace usable? Every row is read; the first thing that is wrong is the error."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import NoReturn

import msgspec
import numpy as np

from ..errors import TraceError
from .duplicates import DuplicateFinder, Duplicates, digest
from .formats import Reader
from .guard import RowGuard
from .progress import with_progress
from .read import PlacedRow
from .schema import TraceRow
from .summary import Summary, summarize
from .tokens import RowTokenizer, stated_lengths

PROMPT_KINDS = ("prompt", "messages", "prompt_token_ids", "hash_ids", "input_length")
ANSWER_KINDS = ("response", "response_token_ids", "output_length")


class CheckReport(msgspec.Struct, frozen=True):
    """What a whole, usable trace holds."""

    path: str
    format: str
    rows: int
    header: bool
    prompts: dict[str, int]  # rows of each kind
    answers: dict[str, int]
    input_tokens: Summary | None  # of the rows whose length is known
    output_tokens: Summary | None
    tokens_unknown: int  # rows with text that nothing has counted
    sessions: int
    timestamps: int  # rows that have one
    duplicates: Duplicates
    unknown_fields: list[str]


def check_rows(reader: Reader, format_name: str, tokenizer: RowTokenizer | None) -> CheckReport:
    """Read all of a trace.

    Raises:
        TraceError: A row is broken, times run backwards, a turn comes twice, or
            hash ids do not cover the prompt.
    """
    checker = _Checker(reader, tokenizer)
    for placed in with_progress(reader, reader.path, "check"):
        checker.add(placed)
    return checker.report(format_name)


class _Checker:
    def __init__(self, reader: Reader, tokenizer: RowTokenizer | None) -> None:
        self._reader, self._tokenizer = reader, tokenizer
        self._duplicates = DuplicateFinder()
        self._inputs, self._outputs = array("q"), array("q")
        self._guard = RowGuard(reader.path)
        self._sessions = array("Q")
        self._prompts: Counter[str] = Counter()
        self._answers: Counter[str] = Counter()
        self._unknown: set[str] = set()
        self._rows = self._timestamps = self._uncounted = 0

    def add(self, placed: PlacedRow) -> None:
        line, _, row = placed
        self._rows += 1
        self._unknown.update(row.extra)
        self._prompts[next(kind for kind in PROMPT_KINDS if getattr(row, kind) is not None)] += 1
        self._answers[next(kind for kind in ANSWER_KINDS if getattr(row, kind) is not None)] += 1
        self._duplicates.add(row)
        self._count_tokens(row)
        self._guard.see(row, line)
        self._timestamps += row.timestamp is not None
        self._check_hash_ids(row, line)
        if row.session_id is not None:
            self._sessions.append(digest(row.session_id))

    def _count_tokens(self, row: TraceRow) -> None:
        tokenizer = self._tokenizer
        if tokenizer is None:
            given, answered = stated_lengths(row)
        else:
            given, answered = tokenizer.prompt_length(row), tokenizer.response_length(row)
        if given is not None:
            self._inputs.append(given)
        if answered is not None:
            self._outputs.append(answered)
        self._uncounted += given is None or answered is None

    def _check_hash_ids(self, row: TraceRow, line: int) -> None:
        if row.hash_ids is None or row.has_text:
            return
        size = row.block_size or (self._reader.header and self._reader.header.block_size)
        if not size:
            self._fail(
                "hash_ids without a block_size: put it in the row or in the header, or say "
                "what made the file with --from",
                line,
            )
        if row.input_length is None:
            self._fail("hash_ids need an input_length: the last block may be partial", line)
        least, most = row.input_length // size, -(-row.input_length // size)
        if not least <= len(row.hash_ids) <= most:
            self._fail(
                f"{len(row.hash_ids)} hash_ids of {size} tokens do not fit an input_length of "
                f"{row.input_length}, which takes {most}",
                line,
            )

    def _fail(self, cause: str, line: int) -> NoReturn:
        raise TraceError(self._reader.path, cause, line)

    def report(self, format_name: str) -> CheckReport:
        self._guard.finish()
        return CheckReport(
            path=str(self._reader.path),
            format=format_name,
            rows=self._rows,
            header=self._reader.header is not None,
            prompts=dict(self._prompts),
            answers=dict(self._answers),
            input_tokens=summarize(self._inputs),
            output_tokens=summarize(self._outputs),
            tokens_unknown=self._uncounted,
            sessions=len(np.unique(np.frombuffer(self._sessions, dtype=np.uint64))),
            timestamps=self._timestamps,
            duplicates=self._duplicates.found(),
            unknown_fields=sorted(self._unknown),
        )
