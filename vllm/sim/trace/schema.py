"""What a trace row may say. The field names are public; ``docs/traces.md`` explains each.

A row is one JSON object a line. ``{"prompt": "Hello", "response": " world!"}`` is
complete and valid.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec

HEADER_KEY = "vllm_sim_trace"
FORMAT_VERSION = 1


class TraceHeader(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The optional first line: what the trace was recorded on."""

    vllm_sim_trace: int
    block_size: int | None = None  # tokens a KV block, or a hash id, stands for
    num_gpu_blocks: int | None = None
    model: str | None = None
    vllm_version: str | None = None
    config: dict[str, Any] | None = None
    provenance: Any = None
    license: str | None = None
    extra: dict[str, Any] = msgspec.field(default_factory=dict)  # unknown fields, kept


class TraceRow(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One recorded request. Exactly one kind of prompt and one kind of answer is set."""

    # the prompt: one of
    prompt: str | None = None
    messages: list[dict[str, Any]] | None = None
    tools: list[dict[str, Any]] | None = None  # OpenAI tools that the messages came with
    prompt_token_ids: list[int] | None = None
    input_length: int | None = None  # tokens; with hash_ids, Mooncake style
    hash_ids: list[int] | None = None
    block_size: int | None = None  # tokens each hash id stands for
    # the answer: one of
    response: str | None = None  # raw model output
    response_token_ids: list[int] | None = None
    output_length: int | None = None  # tokens
    # when
    timestamp: float | None = None  # arrival, seconds from the start of the trace
    session_id: str | int | None = None
    turn: int | None = None
    think_time: float | None = None  # seconds after the end of the turn before
    # as in the OpenAI API
    max_tokens: int | None = None
    finish_reason: Literal["stop", "length", "tool_calls", "abort", "error"] | None = None
    priority: int | None = None
    model: str | None = None
    # measured, for --sim-latency recorded
    ttft: float | None = None  # seconds
    itl: list[float] | None = None  # seconds between consecutive tokens
    logprobs: list[float] | None = None  # one a response token

    extra: dict[str, Any] = msgspec.field(default_factory=dict)  # unknown fields, kept

    @property
    def has_text(self) -> bool:
        """Whether the prompt is content, and not lengths to build one from."""
        return (
            self.prompt_token_ids is not None
            or self.prompt is not None
            or self.messages is not None
        )


KNOWN_FIELDS = frozenset(TraceRow.__struct_fields__) - {"extra"}
HEADER_FIELDS = frozenset(TraceHeader.__struct_fields__) - {"extra"}

_PROMPTS = ("prompt", "messages", "prompt_token_ids", "input_length")
_ANSWERS = ("response", "response_token_ids", "output_length")
_COUNTS = ("input_length", "output_length", "block_size", "turn", "max_tokens")
_SECONDS = ("timestamp", "think_time", "ttft")
_MAX_HASH_ID = 2**64 - 1


def row_from_json(fields: object) -> TraceRow | TraceHeader:
    """Check one decoded line.

    Raises:
        ValueError: What is wrong, without the place (the caller knows the line).
    """
    if not isinstance(fields, dict):
        raise ValueError(f"a row is a JSON object, this is {type(fields).__name__}")
    if HEADER_KEY in fields:
        return _header(fields)
    known = {name: value for name, value in fields.items() if name in KNOWN_FIELDS}
    try:
        row = msgspec.convert(known, TraceRow)
    except msgspec.ValidationError as error:
        raise ValueError(_readable(error)) from None
    if len(known) != len(fields):
        row.extra = {name: value for name, value in fields.items() if name not in KNOWN_FIELDS}
    _check(row)
    return row


def _header(fields: dict[str, Any]) -> TraceHeader:
    known = {name: value for name, value in fields.items() if name in HEADER_FIELDS}
    try:
        header = msgspec.convert(known, TraceHeader)
    except msgspec.ValidationError as error:
        raise ValueError(_readable(error)) from None
    if header.vllm_sim_trace != FORMAT_VERSION:
        raise ValueError(
            f"trace format {header.vllm_sim_trace} is unknown; this version reads {FORMAT_VERSION}"
        )
    header.extra = {name: value for name, value in fields.items() if name not in HEADER_FIELDS}
    return header


def _beside(row: TraceRow) -> str:
    """The unknown fields of a row that lacks one: one of them may be misspelt."""
    return f"; unknown here: {', '.join(map(repr, row.extra))}" if row.extra else ""


def _check(row: TraceRow) -> None:
    prompts = [name for name in _PROMPTS if getattr(row, name) is not None]
    answers = [name for name in _ANSWERS if getattr(row, name) is not None]
    # Lengths may stand beside the content they measure.
    if not prompts:
        raise ValueError(f"no prompt: one of {', '.join(_PROMPTS)} is needed{_beside(row)}")
    if not answers:
        raise ValueError(f"no answer: one of {', '.join(_ANSWERS)} is needed{_beside(row)}")
    if len(texts := [name for name in prompts if name != "input_length"]) > 1:
        raise ValueError(f"several prompts: {' and '.join(texts)}; keep one")
    if len(texts := [name for name in answers if name != "output_length"]) > 1:
        raise ValueError(f"several answers: {' and '.join(texts)}; keep one")
    for name in _COUNTS:
        if (count := getattr(row, name)) is not None and count < 0:
            raise ValueError(f"{name} is negative: {count}")
    for name in _SECONDS:
        if (seconds := getattr(row, name)) is not None and not (0 <= seconds < math.inf):
            raise ValueError(f"{name} must be a finite number of seconds >= 0, is {seconds}")
    for name in ("prompt_token_ids", "response_token_ids", "hash_ids"):
        if (ids := getattr(row, name)) and min(ids) < 0:
            raise ValueError(f"{name} holds a negative id: {min(ids)}")
    if row.hash_ids and max(row.hash_ids) > _MAX_HASH_ID:
        raise ValueError(f"hash_ids holds an id above 64 bits: {max(row.hash_ids)}")
    if row.prompt_token_ids is not None and not row.prompt_token_ids:
        raise ValueError("prompt_token_ids is empty")
    if row.messages is not None and not row.messages:
        raise ValueError("messages is empty")
    if row.itl and not (min(row.itl) >= 0 and max(row.itl) < math.inf):
        raise ValueError("itl must hold finite numbers of seconds >= 0")
    if row.logprobs and max(row.logprobs) > 0:
        raise ValueError(f"logprobs must be <= 0, found {max(row.logprobs)}")
    if row.input_length is not None and not row.has_text and row.input_length < 1:
        raise ValueError("input_length must be at least 1")


def _readable(error: msgspec.ValidationError) -> str:
    """msgspec's "Expected `str`, got `int` - at `$.prompt`", with the field first."""
    text, _, place = str(error).partition(" - at `$")
    field = place.rstrip("`").lstrip(".")
    text = text.replace("`", "")
    return f"{field}: {text}" if field else text
