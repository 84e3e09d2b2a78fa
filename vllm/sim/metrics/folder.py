"""The folder of a run: ``requests.jsonl``, ``steps.jsonl``, ``summary.json``.

The two logs hold whole lines at any time, so what an interrupted run leaves behind can
be read; ``summary.json`` comes last and says whether the run was complete.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from ..errors import RecordingError
from ..records import SCHEMA_VERSION, RequestRecord, StepRecord
from ..step_log import StepLog, step_log_path
from .requests import RequestTally
from .steps import StepTally
from .summary import summarize

REQUESTS, SUMMARY = "requests.jsonl", "summary.json"
MEASURED = "measured"  # what a recording's summary has for `latency`
_FLUSH_BYTES = 1 << 16


class RunFolder:
    """Writes a run's records as they come, and its summary at the end.

    Args:
        path: Made if it is not there. An older run in it is replaced.

    Raises:
        RecordingError: It cannot be written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests, self.steps = RequestTally(), StepTally()
        self._encoder = msgspec.json.Encoder()
        self._buffer = bytearray()
        try:
            path.mkdir(parents=True, exist_ok=True)
            # A summary beside records that are not its own would be a lie.
            (path / SUMMARY).unlink(missing_ok=True)
            self._file = (path / REQUESTS).open("wb")
        except OSError as error:
            raise RecordingError(
                f"{path} cannot be written to: {error.strerror}; choose another --out"
            ) from None
        self._step_log = StepLog(step_log_path(path), live=False)

    def add_step(self, record: StepRecord) -> None:
        self.steps.add(record)
        self._step_log.write(record)

    def add_request(self, record: RequestRecord) -> None:
        self.requests.add(record)
        self._buffer += self._encoder.encode(record) + b"\n"
        if len(self._buffer) > _FLUSH_BYTES:
            self._flush()

    def finish(self, complete: bool, **facts: Any) -> dict[str, Any]:
        """Close the logs and write the summary. Arguments as for :meth:`checkpoint`."""
        summary = self.checkpoint(complete, **facts)
        self._file.close()
        self._step_log.close()
        return summary

    def checkpoint(self, complete: bool, **facts: Any) -> dict[str, Any]:
        """Bring the folder up to date.

        Args:
            complete: Whether the run came to its own end.
            facts: Further keys, put first.

        Returns:
            The summary, as written.
        """
        self._flush()
        self._step_log.flush()
        summary = {"complete": complete, **facts, **summarize(self.requests, self.steps)}
        text = json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
        (self.path / SUMMARY).write_text(text, encoding="utf-8")
        return summary

    def _flush(self) -> None:
        self._file.write(self._buffer)
        self._file.flush()
        self._buffer.clear()


def read_summary(folder: Path) -> dict[str, Any]:
    """A run's summary.

    Raises:
        RecordingError: It is missing, broken, or of another version.
    """
    path = folder / SUMMARY
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise RecordingError(f"{path}: not JSON: {error}") from None
    version = summary.get("schema_version") if isinstance(summary, dict) else None
    if version != SCHEMA_VERSION:
        raise RecordingError(
            f"{path}: schema_version is {version!r}, this version reads {SCHEMA_VERSION}"
        )
    return summary


def read_requests(folder: Path) -> Iterator[RequestRecord]:
    """A run's requests, in the order in which they ended.

    Raises:
        RecordingError: The file is missing, or a line is not a RequestRecord.
    """
    path = folder / REQUESTS
    decoder = msgspec.json.Decoder(RequestRecord)
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield decoder.decode(line)
                except msgspec.DecodeError as error:
                    raise RecordingError(f"{path}, line {number}: {error}") from None
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror}") from None
