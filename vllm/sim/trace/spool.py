"""Rows on disk: to go over them twice, and to sort more of them than fit in memory."""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import msgspec

from .read import PlacedRow
from .schema import TraceRow

_CHUNK_ROWS = 20_000
# Every open chunk is a file; far more of them than this and the system refuses.
_MAX_CHUNKS = 500


class _Entry(msgspec.Struct, array_like=True):
    line: int
    offset: int
    row: TraceRow
    key: Any = None

    def placed(self) -> PlacedRow:
        return PlacedRow(self.line, self.offset, self.row)


def sorted_rows(rows: Iterable[PlacedRow], key: Callable[[PlacedRow], Any]) -> Iterator[PlacedRow]:
    """All rows by a key, equal ones in the order they came.

    At most 20,000 rows are in memory; the rest waits in unnamed temporary files. The key
    is asked for once a row, in the order of the rows.
    """
    with ExitStack() as files:
        chunks: list[Iterator[_Entry]] = []
        chunk: list[_Entry] = []
        for placed in rows:
            chunk.append(_Entry(*placed, key=key(placed)))
            if len(chunk) >= _CHUNK_ROWS:
                chunk.sort(key=_by_key)
                chunks.append(_spill(chunk, files))
                chunk = []
                if len(chunks) >= _MAX_CHUNKS:
                    chunks = [_spill(heapq.merge(*chunks, key=_by_key), files)]
        chunk.sort(key=_by_key)
        for entry in heapq.merge(*chunks, iter(chunk), key=_by_key):
            yield entry.placed()


def spooled(rows: Iterable[PlacedRow]) -> Iterator[PlacedRow]:
    """Read all rows now, and hand them out later from disk."""
    with ExitStack() as files:
        for entry in _spill((_Entry(*placed) for placed in rows), files):
            yield entry.placed()


def _by_key(entry: _Entry) -> Any:
    return entry.key


def _spill(entries: Iterable[_Entry], files: ExitStack) -> Iterator[_Entry]:
    file = files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 (closed by files)
    encoder = msgspec.msgpack.Encoder()
    for entry in entries:
        packed = encoder.encode(entry)
        file.write(len(packed).to_bytes(4, "little") + packed)
    file.seek(0)
    return _unspill(file)


def _unspill(file: Any) -> Iterator[_Entry]:
    decoder = msgspec.msgpack.Decoder(_Entry)
    while size := file.read(4):
        entry = decoder.decode(file.read(int.from_bytes(size, "little")))
        if isinstance(entry.key, list):
            entry.key = tuple(entry.key)  # as the keys that have not been to disk
        yield entry
