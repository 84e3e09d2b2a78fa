"""OpenAI messages: ``{"messages": [{"role", "content"}]}``, an array of them or one a line."""

from __future__ import annotations

from collections import Counter
from typing import Any

from .base import Format, Sample
from .conversations import Conversation, ConversationReader, ConversationWriter, Message, Tools
from .json_items import Item


class OpenAIReader(ConversationReader):
    name = "openai"

    def _conversation(self, item: Item, number: int) -> Conversation:
        messages = item.value.get("messages")
        if not isinstance(messages, list):
            raise ValueError("no messages; an OpenAI item has a list of them")
        for at, message in enumerate(messages, start=1):
            if not isinstance(message, dict) or not isinstance(message.get("role"), str):
                raise ValueError(f"message {at} has no role")
            if "content" not in message and not message.get("tool_calls"):
                raise ValueError(f"message {at} has no content")
        tools = item.value.get("tools")
        if tools is not None and not isinstance(tools, list):
            raise ValueError("tools must be a list")
        said = ("id", "messages", "tools", "model")
        return Conversation(
            id=self._id(item, number),
            messages=messages,
            line=item.line,
            offset=item.offset,
            tools=tools or None,
            model=self._model(item),
            extra={k: v for k, v in item.value.items() if k not in said},
        )


def _spell(
    id: str | int, messages: list[Message], tools: Tools, notes: Counter[str]
) -> dict[str, Any]:
    return {"id": id, "messages": messages} | ({"tools": tools} if tools else {})


class OpenAIWriter(ConversationWriter):
    """JSON Lines, as fine-tuning files are."""

    spell = staticmethod(_spell)
    array = False


def _sniff(sample: Sample) -> bool:
    first = sample.first
    if first is None or "messages" not in first:
        return False
    # With an answer of its own beside the messages, a row is ours.
    return not first.keys() & {"response", "response_token_ids", "output_length"}


FORMAT = Format(
    name="openai",
    title="OpenAI messages",
    sniff=_sniff,
    reader=OpenAIReader,
    writer=OpenAIWriter,
    says=frozenset({"prompt", "messages", "response", "session_id", "turn", "tools", "model"}),
    by_session=True,
    keeps_extra=True,
)
