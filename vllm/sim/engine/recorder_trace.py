"""``trace.jsonl`` of a recorded run: what was asked, what was answered, when, and how fast."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Literal

from ..clock import NS_PER_S
from ..metrics.requests import COMPLETED
from ..records import RequestRecord
from ..trace.formats.base import WriteOptions
from ..trace.formats.vllm_sim import VllmSimWriter
from ..trace.schema import TraceHeader, TraceRow
from .replay import Live

TRACE = "trace.jsonl"
_ANSWERED = (*COMPLETED, "abort")


class TraceRecorder:
    """Writes a row for each request that was answered, to its end or until its client left.

    Rows stand in the order of arrival, so that they can be replayed: those that end early
    wait for those that arrived before them.
    """

    def __init__(self, folder: Path, header: TraceHeader) -> None:
        self._file: BinaryIO = (folder / TRACE).open("wb")
        self._writer = VllmSimWriter(self._file, header, WriteOptions())
        self._order: deque[str] = deque()  # ids by arrival
        self._rows: dict[str, TraceRow | None] = {}

    def turn(self, now_ns: int) -> None:
        pass

    def sent(self, request_id: str, live: Live) -> None:
        self._order.append(request_id)

    def ended(self, live: Live, record: RequestRecord, token_ids: Sequence[int]) -> None:
        if record.finish_reason == "refused":
            return
        answered = bool(token_ids) and record.finish_reason in _ANSWERED
        self._rows[record.id] = recorded_row(live, record, token_ids) if answered else None
        while self._order and self._order[0] in self._rows:
            row = self._rows.pop(self._order.popleft())
            if row is not None:
                self._writer.write(row)

    def flush(self) -> None:
        """Write what is held back."""
        self._file.flush()

    def close(self) -> None:
        """Write what still waits for requests that never ended, and close the file."""
        for request_id in self._order:
            if (row := self._rows.get(request_id)) is not None:
                self._writer.write(row)
        self._writer.finish()
        self._file.close()


def recorded_row(live: Live, record: RequestRecord, token_ids: Sequence[int]) -> TraceRow:
    """One request as a trace row."""
    row = live.sending.row
    reason: Literal["length", "stop", "abort"] = "stop"
    if record.finish_reason in ("length", "abort"):
        reason = record.finish_reason
    return TraceRow(
        prompt_token_ids=live.prompt_ids,
        response_token_ids=list(token_ids),
        timestamp=record.arrival_ns / NS_PER_S,
        session_id=row.session_id,
        turn=row.turn,
        think_time=row.think_time,
        max_tokens=len(token_ids) if reason == "length" else row.max_tokens,
        finish_reason=reason,
        priority=row.priority,
        ttft=None if record.ttft_ns is None else record.ttft_ns / NS_PER_S,
        itl=[gap_ns / NS_PER_S for gap_ns in record.itl_ns],
    )
