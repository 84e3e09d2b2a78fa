"""CSV by column name, with the line in every error."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .base import FileReader


class CsvLine(NamedTuple):
    line: int
    offset: int  # bytes read so far, ahead by a buffer
    cells: dict[str, str]


class CsvReader(FileReader):
    """Base of the readers of CSV files."""

    columns: tuple[str, ...]  # without these a file is not of this format

    def _lines(self) -> Iterator[CsvLine]:
        text = self._text()
        try:
            reader = csv.reader(text, strict=True)
            names = [name.strip() for name in next(reader, [])]
            if missing := [name for name in self.columns if name not in names]:
                self._fail(
                    f"no column {' and no column '.join(missing)}; the first line has "
                    f"{', '.join(names) or 'nothing'}",
                    1,
                )
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(names):
                    self._fail(
                        f"{len(cells)} columns, the first line has {len(names)}; "
                        "is the file cut off?",
                        reader.line_num,
                    )
                yield CsvLine(
                    reader.line_num, self._file.tell(), dict(zip(names, cells, strict=True))
                )
        except csv.Error as error:
            self._fail(f"not valid CSV: {error}", reader.line_num)
        except UnicodeDecodeError as error:
            self._fail(f"not UTF-8: byte 0x{error.object[error.start]:02x}", reader.line_num + 1)
        finally:
            # The wrapper would close the file, which may be read again.
            if not text.closed:
                text.detach()

    def _count(self, at: CsvLine, column: str) -> int:
        """A whole number of tokens."""
        cell = at.cells[column].strip()
        try:
            return int(cell)
        except ValueError:
            self._fail(f"{column} must be a whole number of tokens, is {cell!r}", at.line)

    def _number(self, at: CsvLine, column: str, what: str) -> float:
        cell = at.cells[column].strip()
        try:
            number = float(cell)
        except ValueError:
            self._fail(f"{column} must be {what}, is {cell!r}", at.line)
        if not math.isfinite(number):
            self._fail(f"{column} must be {what}, is {cell}", at.line)
        return number


def csv_line(cells: Iterable[object]) -> bytes:
    """One line; the cells hold no text of a user's, so nothing needs quotes."""
    return (",".join("" if cell is None else str(cell) for cell in cells) + "\n").encode()
