"""One format to another. What the target cannot say is counted; nothing is made up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from ..errors import TraceError
from .blocks import ids_of_tokens, reblock, unshared_ids
from .formats import FORMATS, Format, Reader, ReadOptions, WriteOptions, open_rows
from .guard import RowGuard
from .progress import with_progress
from .read import PlacedRow
from .schema import TraceHeader, TraceRow
from .spool import sorted_rows
from .tokens import RowTokenizer, stated_lengths
from .write import whole_file

DEFAULT_BLOCK_SIZE = 16


@dataclass(frozen=True)
class ConvertOptions:
    """What the user asked for beyond the two formats."""

    sort: bool = False  # by timestamp
    unshared: bool = False  # prompts of unknown sharing share nothing
    session: str | None = None  # keep this one only
    tokenizer: RowTokenizer | None = None
    read: ReadOptions = field(default_factory=ReadOptions)
    write: WriteOptions = field(default_factory=WriteOptions)


class ConvertReport(msgspec.Struct, frozen=True):
    """What was written, and what was not."""

    path: str
    source_format: str
    target_format: str
    rows: int
    left_out: dict[str, int]  # field -> rows that had it and lost it
    notes: dict[str, int]  # what else a reader of the target should know -> how often


def convert(
    source: Path, source_format: str, target: Path, target_format: str, options: ConvertOptions
) -> ConvertReport:
    """Read one file, write another.

    Raises:
        TraceError: The source is broken, or holds what the target cannot express. Nothing
            is left at ``target`` then but what was there before.
    """
    form, reader = open_rows(source, source_format, options.read)
    to = FORMATS[target_format]
    if to.writer is None:
        raise TraceError(target, f"{to.name} is read only: {to.title}s come from a run")
    try:
        rows = _arranged(reader, to, options)
        first = next(rows, None)
        if first is None:
            raise TraceError(source, f"no row has session_id {options.session!r}")
        with whole_file(target) as out:
            try:
                writer = to.writer(out, _header(reader), options.write)
            except ValueError as error:
                raise TraceError(source, str(error)) from None
            fitter = _Fitter(reader, to, options)
            written = line = 0
            try:
                for placed in chain([first], rows):
                    line = placed.line
                    writer.write(fitter.fit(placed.row, written))
                    written += 1
                writer.finish()
            except ValueError as error:
                raise TraceError(source, f"this row {error}", line or None) from None
    finally:
        reader.close()
    notes = reader.notes + fitter.notes + writer.notes
    return ConvertReport(
        str(target), form.name, to.name, written, dict(fitter.left_out), dict(notes)
    )


def _arranged(reader: Reader, to: Format, options: ConvertOptions) -> Iterator[PlacedRow]:
    """The rows in the order in which they are written, and checked against each other."""
    rows: Iterable[PlacedRow] = with_progress(reader, reader.path, "read")
    if options.session is not None:
        rows = (placed for placed in rows if str(placed.row.session_id) == options.session)
    if options.sort:
        rows = sorted_rows(rows, _by_timestamp(reader.path))
    rows = _guarded(rows, reader.path)
    if to.by_session:
        rows = sorted_rows(rows, _BySession())
    return iter(rows)


def _guarded(rows: Iterable[PlacedRow], path: Path) -> Iterator[PlacedRow]:
    guard = RowGuard(path)
    for placed in rows:
        guard.see(placed.row, placed.line)
        yield placed
    guard.finish()


def _by_timestamp(path: Path) -> Any:
    def key(placed: PlacedRow) -> float:
        if placed.row.timestamp is None:
            raise TraceError(path, "--sort needs a timestamp on every row", placed.line)
        return placed.row.timestamp

    return key


class _BySession:
    """Sessions in the order of their first rows, their turns in order."""

    def __init__(self) -> None:
        self._ranks: dict[str | int, int] = {}  # session -> number of its first row
        self._seen = 0

    def __call__(self, placed: PlacedRow) -> tuple[int, int]:
        session, turn = placed.row.session_id, placed.row.turn
        self._seen += 1
        if session is None:
            return self._seen, 0
        return self._ranks.setdefault(session, self._seen), turn or 0


def _header(reader: Reader) -> TraceHeader | None:
    """The source's header, with the name of the source in it."""
    header = reader.header
    if header is None or not isinstance(header.provenance, dict):
        return header
    provenance = {"file": reader.path.name, **header.provenance}
    return msgspec.structs.replace(header, provenance=provenance)


class _Fitter:
    """Makes a row sayable in the target, and counts what gets lost."""

    def __init__(self, reader: Reader, to: Format, options: ConvertOptions) -> None:
        self._reader, self._to, self._options = reader, to, options
        self._says = to.says
        self.left_out: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()

    def fit(self, row: TraceRow, number: int) -> TraceRow:
        """The row with lengths, and ids of the target's block size.

        Raises:
            ValueError: The block sizes do not fit each other.
        """
        if row.hash_ids is not None and row.block_size is None:
            row.block_size = self._reader.header.block_size if self._reader.header else None
            if row.block_size is None:
                raise ValueError("has hash_ids without a block_size, in the row or in the header")
        if self._options.tokenizer is not None or not self._to.keeps_extra:
            self._measure(row)
        self._cut_blocks(row, number)
        self._count_losses(row)
        return row

    def _measure(self, row: TraceRow) -> None:
        given, answered = stated_lengths(row)
        tokenizer = self._options.tokenizer
        if tokenizer is not None:
            given = tokenizer.prompt_length(row) if given is None else given
            answered = tokenizer.response_length(row) if answered is None else answered
        if "input_length" in self._says:
            row.input_length, row.output_length = given, answered

    def _cut_blocks(self, row: TraceRow, number: int) -> None:
        if "hash_ids" not in self._says or row.input_length is None:
            return
        fixed = self._options.write.block_size or self._to.block_size
        if row.hash_ids is not None and row.block_size is not None:
            self._recut(row, fixed or row.block_size, number)
        elif self._to.needs_ids:
            self._cut(row, fixed or DEFAULT_BLOCK_SIZE, number)

    def _recut(self, row: TraceRow, size: int, number: int) -> None:
        assert row.hash_ids is not None and row.block_size and row.input_length is not None
        if size == row.block_size and not self._to.covers:
            return
        if size > row.block_size:
            self.notes[
                f"rows whose ids were of {row.block_size} tokens: shorter sharing is lost"
            ] += 1
        row.hash_ids = reblock(row.hash_ids, row.input_length, row.block_size, size, number)
        row.block_size = size

    def _cut(self, row: TraceRow, size: int, number: int) -> None:
        tokens = self._tokens(row)
        if tokens is not None:
            row.hash_ids, row.block_size = ids_of_tokens(tokens, size), size
        elif self._options.unshared:
            assert row.input_length is not None
            row.hash_ids, row.block_size = unshared_ids(row.input_length, size, number), size
            self.notes["rows whose hash ids say, as asked, that nothing is shared"] += 1

    def _tokens(self, row: TraceRow) -> Any:
        if row.prompt_token_ids is not None:
            return row.prompt_token_ids
        return self._options.tokenizer.prompt_ids(row) if self._options.tokenizer else None

    def _count_losses(self, row: TraceRow) -> None:
        for name in row.__struct_fields__:
            if name == "extra" or name in self._says or getattr(row, name) is None:
                continue
            if name == "block_size" and self._to.block_size == row.block_size:
                continue  # said by the format itself
            self.left_out[name] += 1
        if not self._to.keeps_extra:
            self.left_out.update(row.extra.keys() - self._says)
