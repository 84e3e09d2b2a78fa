"""Trace rows to requests: the prompt's tokens, and the parameters that end the answer."""

from __future__ import annotations

from typing import Protocol

from vllm.renderers import ChatParams
from vllm.sampling_params import RequestOutputKind, SamplingParams

from ..errors import TraceError
from ..trace.formats.base import Reader
from ..trace.read import PlacedRow
from ..trace.schema import TraceRow
from ..workload.client import Sending
from .offline import OfflineEngine, model_limits
from .prompt_encoder import LengthPrompts, PromptEncoder
from .replay_answers import ReplayAnswers, RowAnswers
from .text import encode_answer


class Prompts:
    """Any row's prompt as this engine's own front end would tokenize it.

    Args:
        engine: Whose tokenizer, chat template and vocabulary count.
        reader: The trace, for its path and its header.
    """

    def __init__(self, engine: OfflineEngine, reader: Reader) -> None:
        renderer = engine.engine.renderer
        self._reader = reader
        self._tokenizer = renderer.tokenizer
        self._encoder = PromptEncoder(renderer, ChatParams())
        self._lengths = LengthPrompts(renderer, reader.path)
        self.end_id, self.plain_ids = self._lengths.end_id, self._lengths.plain_ids
        _, self.longest = model_limits(engine.config)

    def ids(self, row: TraceRow, line: int) -> list[int]:
        """The prompt's token ids.

        Raises:
            TraceError: The row has text and the engine no tokenizer, or its lengths and hash
                ids say too little.
        """
        if row.prompt_token_ids is not None:
            return row.prompt_token_ids
        if row.has_text:
            if self._tokenizer is None:
                raise TraceError(
                    self._reader.path, "the prompt is text and --skip-tokenizer-init is set", line
                )
            return list(self._encoder.encode_prompts([row])[0])
        return self._lengths.ids(PlacedRow(line, 0, row), self._reader.header)

    def encode_answer(self, text: str) -> list[int]:
        return encode_answer(self._tokenizer, text)

    def decode(self, ids: list[int]) -> str | None:
        """Text of tokens; None without a tokenizer."""
        return None if self._tokenizer is None else self._tokenizer.decode(ids)


class RowRequests(Protocol):
    """How a kind of engine is asked for the answer of a row."""

    def params(self, sending: Sending, request_id: str, prompt_tokens: int) -> SamplingParams:
        """Parameters for a request that is added next under this id."""

    def refused(self, request_id: str) -> None:
        """The engine did not take it."""


class SimulatedRequests:
    """Requests to the simulator, which knows each answer.

    The end token is an ordinary stop token: it stops the request as the model's own would,
    and does so for models without a tokenizer, too.
    """

    def __init__(self, prompts: Prompts, answers: ReplayAnswers) -> None:
        self._rows = RowAnswers(prompts.encode_answer, prompts.plain_ids, prompts.end_id)
        self._answers, self._longest = answers, prompts.longest

    def params(self, sending: Sending, request_id: str, prompt_tokens: int) -> SamplingParams:
        self._answers.expect(request_id, self._rows, sending.row, sending.number)
        limit = self._rows.max_tokens(sending.row)
        return _params(limit, self._longest - prompt_tokens, [self._rows.end_id])

    def refused(self, request_id: str) -> None:
        self._answers.drop(request_id)


class RealRequests:
    """Requests to a real model, which writes its own answer, as long as the recorded one."""

    def __init__(self, prompts: Prompts) -> None:
        self._rows = RowAnswers(prompts.encode_answer, prompts.plain_ids, prompts.end_id)
        self._longest = prompts.longest

    def params(self, sending: Sending, request_id: str, prompt_tokens: int) -> SamplingParams:
        length, limit = self._rows.length(sending.row), sending.row.max_tokens
        length = length if limit is None else min(length, max(limit, 1))
        return _params(length, self._longest - prompt_tokens, [])

    def refused(self, request_id: str) -> None:
        pass


def _params(limit: int | None, room: int, stop_token_ids: list[int]) -> SamplingParams:
    """As the API server does, a limit beyond the model's length is cut to it."""
    room = max(room, 1)  # a prompt that leaves none is refused for its length
    return SamplingParams(
        max_tokens=room if limit is None else min(limit, room),
        temperature=0.0,
        ignore_eos=True,
        stop_token_ids=stop_token_ids,
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
        skip_clone=True,
    )
