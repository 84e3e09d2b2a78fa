"""Qwen-Bailian's usage traces: seconds, 16-token blocks, ids global to the file.

``parent_chat_id`` chains the turns of a conversation; its first ``chat_id`` names the
session. Both stay on the row, so that the chain survives a round trip.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

from ..schema import TraceHeader, TraceRow
from .base import Format, ReadOptions, Sample, WriteOptions
from .length_rows import COLUMNS, LengthRowReader, LengthRowWriter

BLOCK_SIZE = 16
NO_PARENT = -1
_CHAT_COLUMNS = ("chat_id", "parent_chat_id", "turn")


class BailianReader(LengthRowReader):
    name = "bailian"
    block_size = BLOCK_SIZE
    time_unit = "s"

    def __init__(self, path: Path, options: ReadOptions) -> None:
        super().__init__(path, options)
        self._session: dict[int, int] = {}  # chat_id -> chat_id of its first turn

    def _more(self, fields: dict[str, Any], line: int) -> dict[str, Any]:
        chat, parent = fields["chat_id"], fields["parent_chat_id"]
        for name in _CHAT_COLUMNS:
            if not isinstance(fields[name], int):
                self._fail(f"{name} must be an integer, is {fields[name]!r}", line)
        if chat in self._session:
            self._fail(f"chat_id {chat} comes twice", line)
        if parent == NO_PARENT:
            session = chat
        elif parent in self._session:
            session = self._session[parent]
        else:
            # A trace is a window in time: the first turns may lie before it.
            self.notes["turns whose parent_chat_id is not in the file (it starts a session)"] += 1
            session = chat
        self._session[chat] = session
        extra = {name: value for name, value in fields.items() if name not in (*COLUMNS, "turn")}
        return {"session_id": session, "turn": fields["turn"], "extra": extra}

    def _require(self, fields: dict[str, Any], line: int) -> None:
        super()._require(fields, line)
        if missing := [name for name in _CHAT_COLUMNS if name not in fields]:
            self._fail(f"no {' and no '.join(missing)}, which Bailian rows have", line)


class BailianWriter(LengthRowWriter):
    def __init__(self, out: BinaryIO, header: TraceHeader | None, options: WriteOptions) -> None:
        super().__init__(out, header, options)
        self._next = 0
        self._chat: dict[object, int] = {}  # session -> its newest chat_id

    def _more(self, row: TraceRow) -> dict[str, Any]:
        given = row.extra
        if "chat_id" in given:
            chat, parent = given["chat_id"], given.get("parent_chat_id", NO_PARENT)
        else:
            chat, parent = self._next, NO_PARENT
            if row.session_id is not None:
                parent = self._chat.get(row.session_id, NO_PARENT)
                self._chat[row.session_id] = chat
        self._next += 1
        more = {"chat_id": chat, "parent_chat_id": parent}
        if "type" in given:
            more["type"] = given["type"]
        else:
            self.notes["rows without a type (text, search, image, file)"] += 1
        return {**more, "turn": 1 if row.turn is None else row.turn}


def _sniff(sample: Sample) -> bool:
    first = sample.first
    return first is not None and not sample.array and {*COLUMNS, *_CHAT_COLUMNS} <= first.keys()


FORMAT = Format(
    name="bailian",
    title="Qwen-Bailian trace",
    sniff=_sniff,
    reader=BailianReader,
    writer=BailianWriter,
    says=frozenset(COLUMNS) | {"session_id", "turn", "chat_id", "parent_chat_id", "type"},
    block_size=BLOCK_SIZE,
    needs_ids=True,
)
