"""ShareGPT and OpenAI messages are one thing in two spellings: conversations with text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol

import msgspec

from ..read import PlacedRow
from ..schema import TraceHeader, TraceRow
from .base import FileReader, WriteOptions
from .json_items import Item, read_items

Message = dict[str, Any]
Tools = list[dict[str, Any]] | None


@dataclass(frozen=True)
class Exchange:
    """One request: everything said before, and the answer."""

    messages: list[Message]
    response: str


@dataclass(frozen=True)
class Conversation:
    """What one item of the file says."""

    id: str | int
    messages: list[Message]
    line: int
    offset: int
    tools: Tools = None  # that the model could call
    model: str | None = None  # that answered
    extra: dict[str, Any] = field(default_factory=dict)  # kept on every row

    def exchanges(self, notes: Counter[str]) -> Iterator[Exchange]:
        """The requests that made this conversation.

        Only text that stands after a question is an answer that can be replayed; what
        is not is counted in ``notes`` and stays in the history of the requests after it.
        """
        for at, message in enumerate(self.messages):
            if message["role"] != "assistant":
                continue
            before = self.messages[:at]
            if not before or before[-1]["role"] in ("assistant", "system"):
                notes["answers that follow no question"] += 1
            elif message.get("tool_calls"):
                # How the model wrote the call depends on its template: text unknown.
                notes["answers that are tool calls, whose raw text is not in the file"] += 1
            elif (text := plain_text(message.get("content"))) is None:
                notes["answers that are not text"] += 1
            else:
                yield Exchange(before, text)


class ConversationReader(FileReader):
    """Conversations, and one row for each of their requests."""

    def conversations(self) -> Iterator[Conversation]:
        """All conversations, in file order.

        Raises:
            TraceError: An item is broken.
        """
        for number, item in enumerate(read_items(self._file, self.path)):
            try:
                yield self._conversation(item, number)
            except ValueError as error:
                # A whole file may stand on one line: the number of the item helps more.
                self._fail(f"item {number + 1}: {error}", item.line)

    def _conversation(self, item: Item, number: int) -> Conversation:
        """One item.

        Raises:
            ValueError: It is broken; the cause, without the place.
        """
        raise NotImplementedError

    def _id(self, item: Item, number: int) -> str | int:
        given = item.value.get("id")
        if given is None or self.options.renumber:
            return number
        if isinstance(given, bool) or not isinstance(given, str | int):
            raise ValueError(f"id must be text or a whole number, is {given!r}")
        return given

    @staticmethod
    def _model(item: Item) -> str | None:
        model = item.value.get("model")
        if model is not None and not isinstance(model, str):
            raise ValueError(f"model must be a name, is {model!r}")
        return model

    def _rows(self) -> Iterator[PlacedRow]:
        self.header = TraceHeader(vllm_sim_trace=1, provenance={"format": self.name})
        for conversation in self.conversations():
            turn = 0
            for turn, exchange in enumerate(conversation.exchanges(self.notes), start=1):
                row = self._row(
                    conversation.line,
                    messages=exchange.messages,
                    tools=conversation.tools,
                    model=conversation.model,
                    response=exchange.response,
                    session_id=conversation.id,
                    turn=turn,
                    extra=conversation.extra,
                )
                yield PlacedRow(conversation.line, conversation.offset, row)
            if not turn:
                self.notes["conversations without a question and its answer"] += 1

    name: str


class _Spelling(Protocol):
    def __call__(
        self, id: str | int, messages: list[Message], tools: Tools, notes: Counter[str]
    ) -> dict[str, Any]:
        """An item of the file, without its unknown fields.

        Raises:
            ValueError: The format cannot say it.
        """
        ...


class ConversationWriter:
    """Puts the turns of a session together again.

    The rows of a session come one after the other. A row whose messages begin with
    those of the row before, and its answer, goes on with that conversation; any other
    begins a new one.
    """

    spell: _Spelling
    array: bool

    def __init__(self, out: BinaryIO, header: TraceHeader | None, options: WriteOptions) -> None:
        self.notes: Counter[str] = Counter()
        self._out = out
        self._open: list[Message] = []
        self._row: TraceRow | None = None
        self._written = 0
        self._ids: Counter[str | int] = Counter()

    def write(self, row: TraceRow) -> None:
        if row.response is None:
            raise ValueError(
                "has no response text, which the target needs; response_token_ids and lengths "
                "cannot be said in it"
            )
        messages = self._messages(row)
        if self._row is None or not self._goes_on(row, messages):
            self._flush()
        self._open = [*messages, {"role": "assistant", "content": row.response}]
        self._row = row

    def _messages(self, row: TraceRow) -> list[Message]:
        if row.messages is not None:
            return row.messages
        if row.prompt is None:
            raise ValueError(
                "has no prompt text, which the target needs; token ids and lengths cannot be said "
                "in it"
            )
        self.notes["prompts written as one user message"] += 1
        return [{"role": "user", "content": row.prompt}]

    def _goes_on(self, row: TraceRow, messages: list[Message]) -> bool:
        assert self._row is not None
        same = row.session_id is not None and row.session_id == self._row.session_id
        return same and messages[: len(self._open)] == self._open

    def _flush(self) -> None:
        if self._row is None:
            return
        name = self._written if self._row.session_id is None else self._row.session_id
        self._ids[name] += 1
        if self._ids[name] > 1:
            # Histories that do not continue each other cannot share one list of messages.
            self.notes["sessions written as several conversations"] += 1
            name = f"{name}#{self._ids[name]}"
        spelled = self.spell(name, self._open, self._row.tools, self.notes)
        if self._row.model is not None:
            spelled["model"] = self._row.model
        spelled |= self._row.extra
        before = (b",\n" if self._written else b"[\n") if self.array else b""
        self._out.write(before + msgspec.json.encode(spelled) + (b"" if self.array else b"\n"))
        self._written += 1

    def finish(self) -> None:
        self._flush()
        if self.array:
            self._out.write(b"\n]\n" if self._written else b"[]\n")


def plain_text(content: object) -> str | None:
    """The text of a message; None where it has none, or something besides text."""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(
        isinstance(part, dict) and part.get("type") == "text" for part in content
    ):
        return "".join(part["text"] for part in content)
    return None
