"""The replay cursor: which token stands at which position of an answer.

A pure function of the position in the output. However often a request is
preempted and recomputed, no token is skipped or repeated, because nothing here
counts calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Answer(NamedTuple):
    """A recorded answer as tokens, without its end-of-sequence token."""

    token_ids: Sequence[int]
    logprobs: Sequence[float] | None = None  # one a token
    line: int | None = None  # of the trace; None when the answer was made up


class ReplayCursor:
    """An answer under one request's rules for ending.

    Args:
        answer: The recorded tokens.
        end_id: The token that ends the answer, or None where nothing may end it
            (``ignore_eos``, or a tokenizer without such a token).
        min_tokens: No end before this many tokens.

    An answer that may not end yet continues by repeating itself from its start.
    """

    def __init__(self, answer: Answer, end_id: int | None, min_tokens: int = 0) -> None:
        self.answer = answer
        ids = answer.token_ids
        # A recorded answer may carry its own end token: it is the end, not content.
        self._length = len(ids) - 1 if ids and ids[-1] == end_id else len(ids)
        self._ids = ids
        self._end_id = end_id
        self._end_at = max(self._length, min_tokens)

    @property
    def tokens(self) -> int | None:
        """How many tokens the answer has, its end token among them; None if nothing ends it."""
        if self._end_id is None:
            return None
        return (self._end_at if self._length else 0) + 1

    def token_at(self, position: int) -> int:
        """The token at a 0-based output position.

        Beyond the end the end token repeats: under async scheduling an engine asks
        for one token more than it delivers.
        """
        if position < self._length:
            return self._ids[position]
        if self._end_id is not None and (position >= self._end_at or not self._length):
            return self._end_id
        if not self._length:
            return 0  # an empty answer that may not end has nothing to say; any token does
        return self._ids[position % self._length]

    def logprob_at(self, position: int) -> float:
        """Its recorded log probability; 0.0 (probability 1) where none was recorded."""
        logprobs = self.answer.logprobs
        if logprobs is None or position >= len(logprobs):
            return 0.0
        return logprobs[position]
