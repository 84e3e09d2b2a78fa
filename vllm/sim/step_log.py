"""``steps.jsonl``: one StepRecord a line.

Whole lines only: a reader that follows the file, or one that comes after a crash,
never sees half a record.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import msgspec

from .errors import RecordingError
from .records import StepRecord

_FLUSH_BYTES = 1 << 16


def step_log_path(folder: str | Path, data_parallel_rank: int = 0) -> Path:
    """``steps.jsonl``, and ``steps.dp1.jsonl`` for the second engine of a data-parallel server."""
    name = "steps.jsonl" if not data_parallel_rank else f"steps.dp{data_parallel_rank}.jsonl"
    return Path(folder) / name


class StepLog:
    """Writes a step log, replacing an older one.

    Args:
        path: The file; its folder is made.
        live: Write each step at once, for readers that follow the file.

    Raises:
        RecordingError: The file cannot be written.
    """

    def __init__(self, path: Path, live: bool = True) -> None:
        self._encoder = msgspec.json.Encoder()
        self._buffer = bytearray()
        self._live = live
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = io.FileIO(path, "w")
        except OSError as error:
            raise RecordingError(
                f"the step log {path} cannot be written: {error.strerror}; "
                f"choose another folder for --sim-step-log"
            ) from None

    def write(self, record: StepRecord) -> None:
        self._buffer += self._encoder.encode(record)
        self._buffer += b"\n"
        if self._live or len(self._buffer) > _FLUSH_BYTES:
            self.flush()

    def close(self) -> None:
        if not self._file.closed:
            self.flush()
            self._file.close()

    def flush(self) -> None:
        """Write what is held back."""
        self._file.write(self._buffer)
        self._buffer.clear()


def read_steps(path: str | Path) -> Iterator[StepRecord]:
    """The records of a step log, one at a time.

    Raises:
        RecordingError: The file is missing, or a line is not a StepRecord.
    """
    decoder = msgspec.json.Decoder(StepRecord)
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield decoder.decode(line)
                except msgspec.DecodeError as error:
                    raise RecordingError(f"{path}, line {number}: {error}") from None
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror}") from None
