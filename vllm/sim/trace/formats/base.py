"""What a format is to the rest of this package: a reader, perhaps a writer, and a way to tell.

Adding a format is one file that defines a ``Format`` and one line in ``__init__``.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, NoReturn, Protocol

import msgspec

from ...errors import TraceError
from ..read import PlacedRow, open_trace
from ..schema import KNOWN_FIELDS, TraceHeader, TraceRow, row_from_json

TimeUnit = Literal["s", "ms", "us", "ns"]
UNITS_PER_SECOND: dict[TimeUnit, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@dataclass(frozen=True)
class ReadOptions:
    """What a file does not say about itself. None leaves it to the format."""

    block_size: int | None = None  # tokens a hash id stands for
    time_unit: TimeUnit | None = None
    sorting: bool = False  # whether the rows will be sorted, so that any order is fine
    renumber: bool = False  # number conversations instead of trusting their ids


@dataclass(frozen=True)
class WriteOptions:
    """What the target asks and the trace may lack."""

    block_size: int | None = None
    start_time: str | None = None  # wall clock of timestamp 0, ISO 8601


class Reader(Protocol):
    """The rows of one file. ``header`` is known once the first row has been read."""

    path: Path
    header: TraceHeader | None
    notes: Counter[str]  # what was in the file and is not in the rows, with how often

    def __iter__(self) -> Iterator[PlacedRow]:
        """Rows in file order.

        Raises:
            TraceError: A line is broken, or the file holds no row.
        """
        ...

    def close(self) -> None: ...


class Writer(Protocol):
    """Rows to one file of this format."""

    notes: Counter[str]  # what was said differently, with how often

    def write(self, row: TraceRow) -> None:
        """Add a row.

        Raises:
            ValueError: The format cannot hold this row; the cause, without the place.
        """
        ...

    def finish(self) -> None:
        """Write what the format wants at its end. The file itself belongs to the caller."""
        ...


@dataclass(frozen=True)
class Sample:
    """The start of a file, for telling its format."""

    name: str
    text: str  # up to 256 KiB, cut at the end of a line where there is one
    first: dict[str, Any] | None  # the first JSON object: the first line, or first of an array
    array: bool  # the file is a JSON array

    @property
    def columns(self) -> tuple[str, ...]:
        """The first line as CSV names."""
        line = self.text.partition("\n")[0].lstrip("\ufeff").strip()
        return tuple(name.strip().strip('"') for name in line.split(","))

    def objects(self) -> Iterator[dict[str, Any]]:
        """The whole JSON lines of the sample."""
        for line in self.text.splitlines():
            try:
                value = msgspec.json.decode(line)
            except msgspec.DecodeError:
                continue
            if isinstance(value, dict):
                yield value


@dataclass(frozen=True)
class Format:
    """One kind of file."""

    name: str
    title: str
    sniff: Callable[[Sample], bool]
    reader: Callable[[Path, ReadOptions], Reader]
    # None: files of this kind describe a run, which a trace cannot stand for.
    writer: Callable[[BinaryIO, TraceHeader | None, WriteOptions], Writer] | None
    # The fields of a row that a file of this kind can hold.
    says: frozenset[str]
    # Tokens a hash id stands for in every file of this kind; None where a file may choose.
    block_size: int | None = None
    needs_ids: bool = False  # whether a row without hash ids cannot be said
    covers: bool = True  # whether the partial last block has an id as well
    keeps_extra: bool = False  # whether fields that we do not know can be kept
    # Whether the writer wants all turns of a conversation in one piece.
    by_session: bool = False


def kept(extra: dict[str, Any]) -> dict[str, Any]:
    """Fields of the source that a row has no place for, under names that are not a row's own.

    A source may use one of our names for something else.
    """
    return {
        f"source_{name}" if name in KNOWN_FIELDS else name: value
        for name, value in extra.items()
        if value is not None
    }


class FileReader:
    """Base of the readers of one file: opening, places, errors."""

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self.path, self.options = path, options
        self.header: TraceHeader | None = None
        self.notes: Counter[str] = Counter()
        self._file = open_trace(path)

    def __iter__(self) -> Iterator[PlacedRow]:
        self._file.seek(0)
        found = False
        for placed in self._rows():
            found = True
            yield placed
        if not found:
            raise TraceError(self.path, "holds no rows")

    def _rows(self) -> Iterator[PlacedRow]:
        raise NotImplementedError

    def _text(self) -> io.TextIOWrapper:
        """The file as text. ``detach`` it, so that the file outlives the wrapper."""
        return io.TextIOWrapper(self._file, encoding="utf-8-sig", newline="")

    def _fail(self, cause: str, line: int | None = None) -> NoReturn:
        raise TraceError(self.path, cause, line)

    def _row(self, line: int, /, **fields: Any) -> TraceRow:
        """A row out of fields of which None are left out, with the trace's own checks."""
        extra = fields.pop("extra", None)
        try:
            row = row_from_json(
                {name: value for name, value in fields.items() if value is not None}
            )
        except ValueError as error:
            self._fail(str(error), line)
        assert isinstance(row, TraceRow)
        if extra:
            row.extra = kept(extra)
        return row

    def close(self) -> None:
        self._file.close()
