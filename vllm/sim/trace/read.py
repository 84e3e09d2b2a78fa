"""Trace files to rows: JSON Lines, plain or ``.gz``, one row in memory at a time."""

from __future__ import annotations

import gzip
import logging
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from ..errors import TraceError
from .schema import TraceHeader, TraceRow, row_from_json

logger = logging.getLogger("vllm.sim.trace")


class PlacedRow(NamedTuple):
    """A row and where it stands."""

    line: int  # 1-based
    offset: int  # bytes, in the decompressed file
    row: TraceRow


def open_trace(path: Path) -> BinaryIO:
    """Open a trace for reading with seeks that cost nothing.

    A ``.gz`` is unpacked once into an unnamed temporary file, so that answers can
    be read later, one by one, and memory stays bounded.

    Raises:
        TraceError: The file is missing, unreadable, or not a whole gzip file.
    """
    try:
        if path.suffix != ".gz":
            return path.open("rb")
        unpacked = tempfile.TemporaryFile()  # noqa: SIM115 (the caller closes it)
        with gzip.open(path, "rb") as packed:
            shutil.copyfileobj(packed, unpacked, length=1 << 20)
    except FileNotFoundError:
        raise TraceError(path, "no such file") from None
    except IsADirectoryError:
        raise TraceError(path, "is a folder, not a trace file") from None
    except EOFError:
        raise TraceError(path, "the gzip data ends early; the file was cut off") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise TraceError(path, f"not valid gzip data: {error}") from None
    except OSError as error:
        raise TraceError(path, f"cannot be read: {error.strerror or error}") from None
    unpacked.seek(0)
    return unpacked


class TraceFile:
    """The rows of one trace file, in order.

    Args:
        path: A ``.jsonl`` or ``.jsonl.gz`` file.

    ``header`` is known once the first row has been read. Unknown fields are kept
    on the row and warned about once a file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.header: TraceHeader | None = None
        self.unknown_fields: set[str] = set()
        self._file = open_trace(self.path)

    def __iter__(self) -> Iterator[PlacedRow]:
        """All rows from the start.

        Raises:
            TraceError: A line is broken, or the file holds no row.
        """
        self._file.seek(0)
        offset = rows = 0
        for number, raw in enumerate(self._file, start=1):
            if raw.strip():
                row = self._decode(raw, number)
                if isinstance(row, TraceHeader):
                    if number != 1:
                        raise TraceError(
                            self.path, "a header stands on the first line only", number
                        )
                    self.header = row
                else:
                    rows += 1
                    yield PlacedRow(number, offset, row)
            offset += len(raw)
        if not rows:
            raise TraceError(self.path, "holds no rows")

    def row_at(self, offset: int, line: int) -> TraceRow:
        """Read one row again.

        Args:
            offset: ``PlacedRow.offset`` of an earlier pass.
            line: Its line number, for the error.
        """
        self._file.seek(offset)
        row = self._decode(self._file.readline(), line)
        if isinstance(row, TraceHeader):
            raise TraceError(self.path, "the file changed while it was in use", line)
        return row

    def _decode(self, raw: bytes, line: int) -> TraceRow | TraceHeader:
        try:
            row = row_from_json(msgspec.json.decode(raw))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise TraceError(self.path, _json_cause(raw, error), line) from None
        except ValueError as error:
            raise TraceError(self.path, str(error), line) from None
        if new := row.extra.keys() - self.unknown_fields:
            self.unknown_fields |= new
            logger.warning(
                "%s, line %d: unknown fields are kept and not used: %s",
                self.path, line, ", ".join(sorted(new)),
            )  # fmt: skip
        return row

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> TraceFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def check_trace(path: str | Path) -> tuple[int, TraceHeader | None]:
    """Read a whole trace for its errors.

    Returns:
        The number of rows, and the header if there is one.
    """
    with TraceFile(path) as file:
        rows = sum(1 for _ in file)
        return rows, file.header


def _json_cause(raw: bytes, error: msgspec.DecodeError | UnicodeDecodeError) -> str:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as bad:
        return f"not UTF-8: byte 0x{raw[bad.start]:02x} at column {bad.start + 1}"
    if not raw.endswith(b"\n") and "truncated" in str(error):
        return "not valid JSON: the line ends early; the file was cut off"
    return f"not valid JSON: {error}"
