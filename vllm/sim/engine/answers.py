"""Where a request's tokens come from: its own, the trace's, or made up for a miss.

The front end has matched the prompt already and sends the places of its rows
along (see ``matching``); counting which of them comes next happens here, in the
engine, so that several API servers share one count.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from vllm.sampling_params import SamplingParams
from vllm.tokenizers import TokenizerLike
from vllm.v1.core.sched.output import NewRequestData

from ..config import SimSettings
from ..trace.cursor import Answer, ReplayCursor
from ..trace.read import TraceFile
from ..trace.schema import TraceRow
from ..trace.synthetic import synthetic_text
from .text import encode_answer

logger = logging.getLogger("vllm.sim.answers")

PLACES_KEY = "vllm_sim_places"  # in SamplingParams.extra_args: [[offset, line], …]


class BoundAnswer:
    """A request's answer, and what the trace measured of it."""

    def __init__(self, cursor: ReplayCursor, row: TraceRow | None) -> None:
        self.cursor = cursor
        self.ttft_s = row.ttft if row else None
        self.itl_s = row.itl if row else None


class AnswerSource(Protocol):
    """Gives each request its answer."""

    def bind(self, request: NewRequestData) -> BoundAnswer:
        """The answer of a request that is scheduled for the first time."""

    def close(self) -> None: ...


class AnswerBook:
    """Binds an answer to each request when the engine first sees it.

    Args:
        settings: What to do on a miss, and where the trace is.
        tokenizer: The model's, or None under ``--skip-tokenizer-init``.
        seed: ``--seed``, for made-up answers.
    """

    def __init__(self, settings: SimSettings, tokenizer: TokenizerLike | None, seed: int) -> None:
        self._on_miss = settings.on_miss
        self._tokenizer = tokenizer
        self._seed = seed
        self._file = TraceFile(settings.trace_path) if settings.trace_path else None
        self._turns: dict[int, int] = {}  # first place's offset -> answers given so far

    def bind(self, request: NewRequestData) -> BoundAnswer:
        """Choose the answer of a request that is scheduled for the first time."""
        params = request.sampling_params
        assert params is not None, "pooling requests are refused at start-up"
        if params.trace_decode_token_ids:
            return BoundAnswer(ReplayCursor(Answer(params.trace_decode_token_ids), None), None)
        row = self._next_row(params)
        answer = self._recorded(row, request) if row else self._made_up(request)
        end_id = None if params.ignore_eos else params.eos_token_id
        return BoundAnswer(ReplayCursor(answer, end_id, params.min_tokens), row)

    def _next_row(self, params: SamplingParams) -> TraceRow | None:
        places = (params.extra_args or {}).get(PLACES_KEY)
        if not places or self._file is None:
            return None
        first_offset = places[0][0]
        turn = self._turns.get(first_offset, 0)
        self._turns[first_offset] = turn + 1
        offset, line = places[turn % len(places)]
        return self._file.row_at(offset, line)

    def _recorded(self, row: TraceRow, request: NewRequestData) -> Answer:
        ids: Sequence[int]
        if row.response_token_ids is not None:
            ids = row.response_token_ids
        elif row.response is not None:
            ids = encode_answer(self._tokenizer, row.response)
        else:
            assert row.output_length is not None
            ids = self._of_length(row.output_length, request.prompt_token_ids or [])
        return Answer(ids, row.logprobs)

    def _of_length(self, tokens: int, prompt_ids: Sequence[int]) -> Sequence[int]:
        """An answer that has ``tokens`` tokens with its end token."""
        count = max(tokens - 1, 0)
        if self._tokenizer is None:
            return [prompt_ids[at % len(prompt_ids)] for at in range(count)]
        words = synthetic_text(prompt_ids, self._seed, words=count)
        return encode_answer(self._tokenizer, words)[:count]

    def _made_up(self, request: NewRequestData) -> Answer:
        prompt_ids = request.prompt_token_ids or []
        if self._on_miss == "error":
            # The front end refuses these; one that comes here went around it.
            logger.error("request %s matches no row of the trace: empty answer", request.req_id)
            return Answer(())
        if self._on_miss == "echo" or self._tokenizer is None:
            special = set(self._tokenizer.all_special_ids) if self._tokenizer else set()
            return Answer([token for token in prompt_ids if token not in special])
        return Answer(encode_answer(self._tokenizer, synthetic_text(prompt_ids, self._seed)))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
