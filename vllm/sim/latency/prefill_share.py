"""Which part of a request's prefill a step does."""

from __future__ import annotations

from typing import NamedTuple

from ..records import ScheduledRequest


class _Prefill(NamedTuple):
    start: int  # tokens that the cache held when it began
    end: int  # tokens computed so far
    share: float  # handed out so far


class PrefillShares:
    """Follows requests through their prefills, chunk by chunk.

    A prefill runs from what the prefix cache held to the last token that is known
    when it starts: the prompt, or after a preemption the prompt and the output so far.
    """

    def __init__(self) -> None:
        self._prompt_tokens: dict[str, int] = {}
        self._running: dict[str, _Prefill] = {}

    def admit(self, request_id: str, prompt_tokens: int) -> None:
        self._prompt_tokens[request_id] = prompt_tokens

    def forget(self, request_id: str) -> None:
        self._prompt_tokens.pop(request_id, None)
        self._running.pop(request_id, None)

    def share(self, request: ScheduledRequest) -> float:
        """The part, 0 to 1, of the request's prefill that this chunk is.

        The parts of one prefill add up to 1: the last chunk takes what is left, since
        how much a preempted request has to recompute shows only there.
        """
        computed, new = request.computed_tokens, request.new_tokens
        prefill = self._running.pop(request.id, None)
        if prefill is None or prefill.end != computed:
            prefill = _Prefill(start=computed, end=computed, share=0.0)
        if request.samples:
            return 1.0 - prefill.share
        known = max(self._prompt_tokens.get(request.id, 0), computed + new)
        share = min(new / (known - prefill.start), 1.0 - prefill.share)
        self._running[request.id] = _Prefill(prefill.start, computed + new, prefill.share + share)
        return share
