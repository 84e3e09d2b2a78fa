"""ShareGPT: ``[{"id", "conversations": [{"from": "human"|"gpt", "value"}]}]``, or one a line."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from .base import Format, Sample
from .conversations import Conversation, ConversationReader, ConversationWriter, Message, Tools
from .json_items import Item

_ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",
    "system": "system",
    "tool": "tool",
    "observation": "tool",
}
_NAMES = {"user": "human", "assistant": "gpt", "system": "system", "tool": "tool"}


class ShareGptReader(ConversationReader):
    name = "sharegpt"

    def _conversation(self, item: Item, number: int) -> Conversation:
        said = item.value.get("conversations")
        if not isinstance(said, list):
            raise ValueError("no conversations; a ShareGPT item has a list of them")
        messages: list[Message] = []
        if isinstance(system := item.value.get("system"), str) and system:
            messages.append({"role": "system", "content": system})
        for at, message in enumerate(said, start=1):
            messages.append(_message(message, at))
        own = ("id", "conversations", "system", "tools", "model")
        return Conversation(
            id=self._id(item, number),
            messages=messages,
            line=item.line,
            offset=item.offset,
            tools=_tools(item.value.get("tools")),
            model=self._model(item),
            extra={k: v for k, v in item.value.items() if k not in own},
        )


def _tools(given: Any) -> Tools:
    """A list, or its JSON as text, which is how ShareGPT files have it."""
    if isinstance(given, str) and given:
        try:
            given = json.loads(given)
        except ValueError:
            raise ValueError("tools is text that is not JSON") from None
    if given and not isinstance(given, list):
        raise ValueError("tools must be a list")
    return given or None


def _message(message: Any, at: int) -> Message:
    if not isinstance(message, dict) or not {"from", "value"} <= message.keys():
        raise ValueError(f"message {at} has no from and value")
    speaker, value = message["from"], message["value"]
    if speaker not in _ROLES:
        raise ValueError(f"message {at} is from {speaker!r}; known are {', '.join(_ROLES)}")
    if not isinstance(value, str):
        raise ValueError(f"the value of message {at} must be text, is {type(value).__name__}")
    return {"role": _ROLES[speaker], "content": value}


def _spell(
    id: str | int, messages: list[Message], tools: Tools, notes: Counter[str]
) -> dict[str, Any]:
    said: list[dict[str, str]] = []
    head: dict[str, Any] = {"id": id}
    if messages[0]["role"] == "system" and isinstance(messages[0].get("content"), str):
        # Many readers take the first two entries for a question and its answer.
        head["system"] = messages[0]["content"]
        messages = messages[1:]
    for message in messages:
        role, content = message["role"], message.get("content")
        if role not in _NAMES or not isinstance(content, str):
            raise ValueError(
                f"has a message that ShareGPT cannot say (role {role!r}, "
                f"content {type(content).__name__}); openai can"
            )
        if message.keys() - {"role", "content"}:
            notes["messages that lost fields besides role and content"] += 1
        said.append({"from": _NAMES[role], "value": content})
    if tools:
        head["tools"] = json.dumps(tools, ensure_ascii=False)
    return {**head, "conversations": said}


class ShareGptWriter(ConversationWriter):
    spell = staticmethod(_spell)
    array = True


def _sniff(sample: Sample) -> bool:
    return sample.first is not None and "conversations" in sample.first


FORMAT = Format(
    name="sharegpt",
    title="ShareGPT conversations",
    sniff=_sniff,
    reader=ShareGptReader,
    writer=ShareGptWriter,
    says=frozenset({"prompt", "messages", "response", "session_id", "turn", "tools", "model"}),
    by_session=True,
    keeps_extra=True,
)
