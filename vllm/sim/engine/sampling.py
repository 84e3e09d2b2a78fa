"""Which token each request gets: its answer's, unless a grammar forbids it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from vllm.sampling_params import SamplingParams
from vllm.tokenizers import TokenizerLike
from vllm.v1.core.sched.output import GrammarOutput, NewRequestData
from vllm.v1.outputs import LogprobsTensors, ModelRunnerOutput

from ..trace.cursor import ReplayCursor
from .batch import Batch
from .outputs import certain_prompt_logprobs, runner_output, sampled_logprobs

logger = logging.getLogger("vllm.sim.sampling")

# What ends a JSON text soonest, in the order in which it is tried once an answer has
# left its grammar: close the string, the object, the array; else the shortest number.
_CLOSERS = ('"', "}", "]", "0")


class _Sampled:
    """What the sampler keeps of a request while it lives."""

    def __init__(self, request: NewRequestData, cursor: ReplayCursor) -> None:
        assert request.sampling_params is not None
        self.params: SamplingParams = request.sampling_params
        self.prompt_ids = request.prompt_token_ids
        self.cursor = cursor
        self.repaired_tokens = 0


class Sampler:
    """Gives each request of a batch the token that stands at its output position.

    Args:
        vocab: Vocabulary size of the model.
        tokenizer: For grammar repairs; None under ``--skip-tokenizer-init``.

    ``repaired_tokens`` counts tokens that a grammar made different from the trace.
    """

    def __init__(self, vocab: int, tokenizer: TokenizerLike | None) -> None:
        self._vocab = vocab
        self._tokenizer = tokenizer
        self._requests: dict[str, _Sampled] = {}
        self._want_logprobs: set[str] = set()
        self._shortest_first: np.ndarray | None = None
        self.repaired_tokens = 0

    def admit(self, request: NewRequestData, cursor: ReplayCursor) -> None:
        sampled = self._requests[request.req_id] = _Sampled(request, cursor)
        if sampled.params.num_logprobs is not None or sampled.params.prompt_logprobs is not None:
            self._want_logprobs.add(request.req_id)

    def forget(self, request_id: str) -> None:
        self._requests.pop(request_id, None)
        self._want_logprobs.discard(request_id)

    def answer_tokens(self, request_id: str) -> int | None:
        """How many tokens a live request's answer has; None if only its limits end it."""
        return self._requests[request_id].cursor.tokens

    def sample(self, batch: Batch, grammar: GrammarOutput | None) -> ModelRunnerOutput:
        """The output of one step.

        Args:
            batch: The step; requests that have left since it was started yield nothing.
            grammar: Which tokens the grammars of its requests allow.
        """
        if grammar is None and not self._want_logprobs:
            return self._sample_plain(batch)
        allowed = _rows_by_request(grammar)
        positions = {sampled.request_id: sampled.position for sampled in batch.sampled}
        request_ids = [request.id for request in batch.requests]
        tokens: list[list[int]] = []
        chosen: list[list[float]] = []
        asked: list[Sequence[int] | None] = [None] * len(request_ids)
        top: int | None = None
        prompt_logprobs: dict[str, LogprobsTensors | None] = {}
        for at, request_id in enumerate(request_ids):
            position = positions.get(request_id)
            request = self._requests.get(request_id)
            if position is None or request is None:
                tokens.append([])
                chosen.append([])
                continue
            token = request.cursor.token_at(position)
            if request_id in allowed:
                token = self._repair(request_id, request, token, allowed[request_id])
            tokens.append([token])
            chosen.append([request.cursor.logprob_at(position)])
            if (wanted := request.params.num_logprobs) is not None:
                top = max(top or 0, self._vocab - 1 if wanted < 0 else wanted)
                asked[at] = request.params.logprob_token_ids
            if position == 0 and (wanted := request.params.prompt_logprobs) is not None:
                prompt_logprobs[request_id] = certain_prompt_logprobs(
                    request.prompt_ids or [], self._vocab - 1 if wanted < 0 else wanted, self._vocab
                )
        logprobs = None
        if top is not None:
            logprobs = sampled_logprobs(tokens, chosen, asked, top, self._vocab)
        return runner_output(request_ids, tokens, logprobs, prompt_logprobs)

    def _sample_plain(self, batch: Batch) -> ModelRunnerOutput:
        """What nearly every step is: recorded tokens and nothing else."""
        live = self._requests
        tokens = {
            id: [live[id].cursor.token_at(at) for at in range(first, first + count)]
            for id, first, count in batch.sampled
            if id in live
        }
        ids = [request.id for request in batch.requests]
        if len(tokens) == len(ids):
            return runner_output(ids, list(tokens.values()))
        return runner_output(ids, [tokens.get(id, []) for id in ids])

    def _repair(self, request_id: str, request: _Sampled, token: int, allowed: np.ndarray) -> int:
        """The recorded token if the grammar allows it, else one that ends the text soonest.

        vLLM fails a request whose token its grammar rejects.
        """
        if _allows(allowed, token):
            return token
        request.repaired_tokens += 1
        self.repaired_tokens += 1
        if request.repaired_tokens == 1:
            logger.warning(
                "request %s: the recorded answer leaves the request's grammar; "
                "it is continued by what the grammar allows",
                request_id,
            )
        eos = request.params.eos_token_id
        if eos is not None and _allows(allowed, eos):
            return eos
        for candidate in self._candidates():
            if _allows(allowed, int(candidate)):
                return int(candidate)
        return token  # nothing is allowed: the grammar has ended, and vLLM says so

    def _candidates(self) -> Sequence[int] | np.ndarray:
        """All token ids: closers first, then from short to long."""
        if self._shortest_first is None:
            if self._tokenizer is None:
                self._shortest_first = np.arange(self._vocab)
            else:
                lengths = np.full(self._vocab, np.iinfo(np.int64).max)
                for text, token in self._tokenizer.get_vocab().items():
                    if token < self._vocab:
                        lengths[token] = (
                            _CLOSERS.index(text) - len(_CLOSERS) if text in _CLOSERS else len(text)
                        )
                self._shortest_first = np.argsort(lengths, kind="stable")
        return self._shortest_first


def _rows_by_request(grammar: GrammarOutput | None) -> dict[str, np.ndarray]:
    if grammar is None:
        return {}
    return dict(zip(grammar.structured_output_request_ids, grammar.grammar_bitmask, strict=True))


def _allows(row: np.ndarray, token: int) -> bool:
    """Whether a bitmask row (``int32[vocab / 32]``, bit set = allowed) allows a token."""
    return bool((int(row[token >> 5]) >> (token & 31)) & 1)
