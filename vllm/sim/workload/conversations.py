"""The client simulator: conversations to the requests that they were made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..errors import SettingsError, TraceError
from ..trace.formats import FORMATS, ReadOptions, detect
from ..trace.formats.base import kept
from ..trace.formats.conversations import Conversation, ConversationReader, Exchange, plain_text
from ..trace.schema import TraceRow
from ..trace.tokens import RowTokenizer
from .limits import Limits

Render = Literal["messages", "template", "plain"]

_SPEAKERS = {"user": "User", "assistant": "Assistant", "system": "System", "tool": "Tool"}


@dataclass(frozen=True)
class ConversationOptions:
    """How conversations become requests."""

    multi_turn: bool
    render: Render
    max_conversations: int | None = None
    limits: Limits = field(default_factory=Limits)
    tokenizer: RowTokenizer | None = None


def open_conversations(path: Path, name: str, options: ReadOptions) -> ConversationReader:
    """Open ShareGPT or OpenAI messages.

    Raises:
        TraceError: The file is something else.
    """
    form = detect(path) if name == "auto" else FORMATS[name]
    reader = form.reader(path, options)
    if not isinstance(reader, ConversationReader):
        reader.close()
        raise TraceError(
            path,
            f"is a {form.title}, not conversations; requests that are already there go through "
            "`vllm sim trace convert`",
        )
    return reader


def sessions(
    reader: ConversationReader, options: ConversationOptions, dropped: Counter[str]
) -> Iterator[list[TraceRow]]:
    """The requests of each conversation that is used, without times.

    Raises:
        TraceError: The file is broken, or no conversation is left.
    """
    used = 0
    for conversation in reader.conversations():
        if options.max_conversations is not None and used >= options.max_conversations:
            break
        exchanges = list(conversation.exchanges(dropped))
        if not exchanges:
            dropped["conversations without a question and its answer"] += 1
            continue
        if not options.multi_turn:
            del exchanges[1:]
        rows = [
            _row(conversation, exchange, turn, options)
            for turn, exchange in enumerate(exchanges, start=1)
        ]
        rows = options.limits.apply(rows, options.tokenizer, dropped)
        if rows:
            used += 1
            yield rows
    if not used:
        raise TraceError(reader.path, "no conversation is left to make requests of")


def _row(
    conversation: Conversation, exchange: Exchange, turn: int, options: ConversationOptions
) -> TraceRow:
    # Where the text came from, and its licence, stay with it.
    row = TraceRow(
        response=exchange.response, model=conversation.model, extra=kept(conversation.extra)
    )
    match options.render:
        case "messages":
            row.messages, row.tools = exchange.messages, conversation.tools
        case "template":
            if options.tokenizer is None:
                raise SettingsError("--render template needs --tokenizer DIR")
            row.prompt = options.tokenizer.render(exchange.messages, conversation.tools)
        case "plain":
            row.prompt = plain_prompt(exchange.messages, name_speakers=options.multi_turn)
    if options.multi_turn:
        row.session_id, row.turn = conversation.id, turn
    return row


def plain_prompt(messages: list[dict[str, Any]], name_speakers: bool) -> str:
    """Messages without a model's template.

    With the speakers named, each turn's prompt begins with the prompt and the answer of
    the turn before. A question that stands alone can do without.
    """
    if len(messages) == 1 and not name_speakers:
        return plain_text(messages[0].get("content")) or ""
    said = "".join(
        f"{_SPEAKERS.get(message['role'], message['role'])}:\n"
        f"{plain_text(message.get('content')) or ''}\n\n"
        for message in messages
    )
    return said + "Assistant:\n"
