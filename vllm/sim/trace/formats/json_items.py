"""The objects of a JSON array or of JSON Lines, one in memory at a time."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from json.decoder import WHITESPACE  # type: ignore[attr-defined]
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn

from ...errors import TraceError

_CHUNK = 1 << 20


class Item(NamedTuple):
    """One object and where it starts."""

    line: int  # 1-based
    offset: int  # bytes read so far: exact for JSON Lines, ahead by a chunk for an array
    value: dict[str, Any]


def read_items(file: BinaryIO, path: Path) -> Iterator[Item]:
    """All objects from the start of the file.

    Raises:
        TraceError: A line or an element is no JSON object, or the file was cut off.
    """
    file.seek(0)
    head = file.read(64).decode("utf-8", errors="ignore").lstrip("\ufeff \t\r\n")
    file.seek(0)
    return _array(file, path) if head.startswith("[") else _lines(file, path)


def _lines(file: BinaryIO, path: Path) -> Iterator[Item]:
    offset = 0
    for number, raw in enumerate(file, start=1):
        if raw.strip():
            try:
                # -sig: a byte order mark may open the file
                value = _DECODER.decode(raw.decode("utf-8-sig").strip())
            except UnicodeDecodeError as error:
                raise TraceError(
                    path, f"not UTF-8: byte 0x{raw[error.start]:02x}", number
                ) from None
            except ValueError as error:
                cut = "; the file was cut off" if not raw.endswith(b"\n") else ""
                raise TraceError(path, f"not valid JSON: {_cause(error)}{cut}", number) from None
            yield Item(number, offset, _object(value, path, number))
        offset += len(raw)


def _array(file: BinaryIO, path: Path) -> Iterator[Item]:
    return iter(_ArrayReader(file, path))


class _ArrayReader:
    """Decodes element by element; holds a chunk, or the longest element if that is longer."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")()
        self._text, self._at, self._line, self._offset = "", 0, 1, 0
        self._ended = False

    def __iter__(self) -> Iterator[Item]:
        self._expect("[")
        if self._next() == "]":
            return
        while True:
            self._next()
            line = self._line
            yield Item(line, self._offset, _object(self._element(), self._path, line))
            if self._expect(",", "]") == "]":
                break
        if self._next():
            self._fail("something follows the end of the array")

    def _element(self) -> object:
        wanted = _CHUNK
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._ended:
                    self._move(error.pos)
                    self._fail(f"not valid JSON: {_cause(error)}; is the file cut off?")
            except ValueError as error:  # NaN and its like
                self._fail(f"not valid JSON: {error}")
            else:
                # A number at the end of the buffer may go on; objects know their end.
                if end < len(self._text) or self._ended:
                    self._move(end)
                    return value
            self._read(wanted)
            wanted *= 2  # so that a long element is not decoded again for every chunk

    def _expect(self, *marks: str) -> str:
        found = self._next()
        if found not in marks or not found:
            what = f"found {found!r}" if found else "the file was cut off"
            self._fail(f"expected {' or '.join(marks)}, {what}")
        self._move(self._at + 1)
        return found

    def _next(self) -> str:
        """The next character that is not white space, without taking it; "" at the end."""
        while True:
            self._move(WHITESPACE.match(self._text, self._at).end())
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._read(_CHUNK)

    def _move(self, end: int) -> None:
        self._line += self._text.count("\n", self._at, end)
        self._at = end

    def _read(self, size: int) -> None:
        raw = self._file.read(size)
        self._ended = not raw
        self._offset += len(raw)
        try:
            more = self._utf8.decode(raw, final=self._ended)
        except UnicodeDecodeError as error:
            self._fail(f"not UTF-8: {error.reason}")
        self._text, self._at = self._text[self._at :] + more, 0

    def _fail(self, cause: str) -> NoReturn:
        raise TraceError(self._path, cause, self._line)


def _object(value: object, path: Path, line: int) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TraceError(path, f"expected a JSON object, found {type(value).__name__}", line)
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number that JSON has")


def _cause(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return str(error)


_DECODER = json.JSONDecoder(parse_constant=_refuse)
