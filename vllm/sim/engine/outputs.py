"""Tokens to a ``ModelRunnerOutput``, with the log probabilities that requests ask for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from vllm.v1.outputs import LogprobsLists, LogprobsTensors, ModelRunnerOutput

# What the OpenAI server clamps minus infinity to: the tokens that were not chosen.
NOT_CHOSEN_LOGPROB = -9999.0


def runner_output(
    request_ids: list[str],
    tokens: list[list[int]],
    logprobs: LogprobsLists | None = None,
    prompt_logprobs: dict[str, LogprobsTensors | None] | None = None,
) -> ModelRunnerOutput:
    """A step's result: one list of new tokens a request, empty for a prefill chunk."""
    return ModelRunnerOutput(
        req_ids=request_ids,
        req_id_to_index={request_id: at for at, request_id in enumerate(request_ids)},
        sampled_token_ids=tokens,
        logprobs=logprobs,
        prompt_logprobs_dict=prompt_logprobs or {},
    )


def sampled_logprobs(
    tokens: Sequence[Sequence[int]],
    chosen: Sequence[Sequence[float]],
    asked: Sequence[Sequence[int] | None],
    top: int,
    vocab: int,
) -> LogprobsLists:
    """Log probabilities of one step for the whole batch.

    Args:
        tokens: New tokens of each request.
        chosen: Their log probabilities, in the same shape.
        asked: For each request the ids that it wants scored, or None for any others.
        top: Alternatives a token, the most that any request asked for.
        vocab: Vocabulary size.

    Returns:
        Arrays of ``[tokens, 1 + top]``, the chosen token in column 0.
    """
    flat = np.array([token for row in tokens for token in row], dtype=np.int32)
    ids = _with_alternatives(flat, top, vocab)
    starts = np.concatenate(([0], np.cumsum([len(row) for row in tokens]))).tolist()
    for at, wanted in enumerate(asked):
        if wanted is not None:
            ids[starts[at] : starts[at + 1], 1 : 1 + len(wanted)] = wanted
    values = np.array([value for row in chosen for value in row], dtype=np.float32)
    scores = np.where(ids == flat[:, None], values[:, None], NOT_CHOSEN_LOGPROB)
    ranks = np.ones(len(flat), dtype=np.int32)
    return LogprobsLists(ids, scores.astype(np.float32), ranks, starts)


def certain_prompt_logprobs(prompt_ids: Sequence[int], top: int, vocab: int) -> LogprobsTensors:
    """Prompt log probabilities: every prompt token was certain.

    Returns:
        Tensors of ``[len(prompt_ids) - 1, 1 + top]``; the first token has none.
    """
    ids = _with_alternatives(np.asarray(prompt_ids[1:], dtype=np.int32), top, vocab)
    values = np.full(ids.shape, NOT_CHOSEN_LOGPROB, dtype=np.float32)
    values[:, 0] = 0.0
    return LogprobsTensors(
        torch.from_numpy(ids), torch.from_numpy(values), torch.ones(len(ids), dtype=torch.int32)
    )


def _with_alternatives(ids: np.ndarray, top: int, vocab: int) -> np.ndarray:
    """``[n]`` ids to ``[n, 1 + top]``: each with the ``top`` ids that follow it."""
    offsets = np.arange(1 + top, dtype=np.int32)
    return (ids[:, None] + offsets) % vocab
