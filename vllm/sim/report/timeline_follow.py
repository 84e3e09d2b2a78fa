"""A step log that is being written: its records as they come."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from ..errors import RecordingError
from ..records import StepRecord

_PAUSE_S = 0.1


def follow_steps(
    path: Path, goes_on: Callable[[], bool] = lambda: True, pause_s: float = _PAUSE_S
) -> Iterator[list[StepRecord]]:
    """What has been written since the last look, over and over; empty where nothing was.

    Waits for a file that is not there yet, and begins again when a new run replaces it.

    Args:
        path: The step log.
        goes_on: Asked after each look that found nothing.
        pause_s: Seconds between two looks that find nothing.

    Raises:
        RecordingError: A line is not a StepRecord.
    """
    decoder = msgspec.json.Decoder(StepRecord)
    position, number, rest = 0, 0, b""
    while True:
        new = b""
        if path.exists():
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < position:
                    position, number, rest = 0, 0, b""
                file.seek(position)
                new = file.read()
                position += len(new)
        *lines, rest = (rest + new).split(b"\n")
        records = []
        for line in lines:
            number += 1
            try:
                records.append(decoder.decode(line))
            except msgspec.DecodeError as error:
                raise RecordingError(f"{path}, line {number}: {error}") from None
        yield records
        if not records:
            if not goes_on():
                return
            time.sleep(pause_s)
