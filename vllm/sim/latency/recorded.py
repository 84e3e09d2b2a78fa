"""Step times that give back what the trace's rows recorded."""

from __future__ import annotations

from ..clock import NS_PER_S
from ..records import StepRecord
from .model import StepTime
from .prefill_share import PrefillShares


class Recorded:
    """A step lasts as long as the longer of its prefills and its decodes, as recorded.

    A prefill chunk takes its part of the row's ``ttft``; the decodes take the mean of
    the gaps their rows recorded at this place in the output. A recorded ``ttft`` holds
    the queueing of the recorded run: record at low load, or replay at the recorded rate.

    A step is in domain when its every request has the number that it needs. A request
    whose gaps end early counts with the mean of those it has; one without any does
    not count.
    """

    def __init__(self) -> None:
        self._shares = PrefillShares()
        self._ttft_s: dict[str, float] = {}
        self._gaps: dict[str, tuple[list[float], int, float]] = {}  # prompt tokens, mean

    def admit(
        self, request_id: str, prompt_tokens: int, ttft_s: float | None, itl_s: list[float] | None
    ) -> None:
        self._shares.admit(request_id, prompt_tokens)
        if ttft_s is not None:
            self._ttft_s[request_id] = ttft_s
        if itl_s:
            self._gaps[request_id] = (itl_s, prompt_tokens, sum(itl_s) / len(itl_s))

    def forget(self, request_id: str) -> None:
        self._shares.forget(request_id)
        self._ttft_s.pop(request_id, None)
        self._gaps.pop(request_id, None)

    def step_time(self, step: StepRecord) -> StepTime:
        gaps_of = self._gaps.get
        prefill_s = decode_s = 0.0
        decodes = 0
        in_domain = bool(step.requests)
        for request in step.requests:
            id = request.id
            if request.phase == "decode":
                times = gaps_of(id)
                if times is None:
                    in_domain = False
                    continue
                gaps, prompt_tokens, mean_s = times
                decodes += 1
                position = request.computed_tokens - prompt_tokens
                if 0 <= position < len(gaps):
                    decode_s += gaps[position]
                else:
                    decode_s += mean_s
                    in_domain = False
            else:
                share = self._shares.share(request)
                if id in self._ttft_s:
                    prefill_s = max(prefill_s, self._ttft_s[id] * share)
                else:
                    in_domain = False
        if decodes:
            decode_s /= decodes
        return StepTime(round(max(prefill_s, decode_s) * NS_PER_S), in_domain)

    def describe(self) -> str:
        return "recorded: each request's ttft and itl as its trace row has them"
