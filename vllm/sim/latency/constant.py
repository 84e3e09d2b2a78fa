"""Step times given on the command line."""

from __future__ import annotations

from ..clock import NS_PER_S
from ..errors import LatencyError
from ..records import StepRecord
from .model import StatelessModel, StepTime
from .parameters import Parameters
from .prefill_share import PrefillShares

KEYS = ("step", "ttft", "itl", "prefill_token")


class ConstantStep(StatelessModel):
    """Every step takes the same time, whatever it holds."""

    def __init__(self, step_s: float) -> None:
        self._step = StepTime(round(step_s * NS_PER_S))

    def step_time(self, step: StepRecord) -> StepTime:
        return self._step

    def describe(self) -> str:
        return f"constant: every step takes {self._step.duration_ns / NS_PER_S:g} s"


class Constant:
    """A prefill takes ``ttft_s``, spread over its chunks; a decode step takes ``itl_s``.

    A step lasts as long as the longest thing in it, so prefills in one step run
    side by side, and a decode waits for the prefill that shares its step. Each
    prefill token adds ``prefill_token_s``.
    """

    def __init__(self, ttft_s: float, itl_s: float, prefill_token_s: float = 0.0) -> None:
        self._ttft_s, self._itl_s, self._prefill_token_s = ttft_s, itl_s, prefill_token_s
        self._shares = PrefillShares()

    def admit(
        self, request_id: str, prompt_tokens: int, ttft_s: float | None, itl_s: list[float] | None
    ) -> None:
        self._shares.admit(request_id, prompt_tokens)

    def forget(self, request_id: str) -> None:
        self._shares.forget(request_id)

    def step_time(self, step: StepRecord) -> StepTime:
        share, decodes, prefill_tokens = 0.0, False, 0
        for request in step.requests:
            if request.phase == "decode":
                decodes = True
            else:
                share = max(share, self._shares.share(request))
                prefill_tokens += request.new_tokens
        seconds = self._ttft_s * share
        if decodes or not share:
            seconds = max(seconds, self._itl_s)
        return StepTime(round((seconds + self._prefill_token_s * prefill_tokens) * NS_PER_S))

    def describe(self) -> str:
        per_token = (
            f", {self._prefill_token_s:g} s a prefill token" if self._prefill_token_s else ""
        )
        return (
            f"constant: a prefill takes {self._ttft_s:g} s, a decode {self._itl_s:g} s{per_token}"
        )


def build_constant(text: str) -> Constant | ConstantStep:
    """``step=…``, or ``ttft=…,itl=…[,prefill_token=…]``.

    Raises:
        LatencyError: The text is neither.
    """
    given = Parameters("constant", text, KEYS)
    if "step" in given:
        if len(given) > 1:
            raise LatencyError("--sim-latency constant: step stands alone, without other keys")
        return ConstantStep(given.seconds("step", 0.0))
    if "itl" not in given or not ("ttft" in given or "prefill_token" in given):
        raise LatencyError(
            "--sim-latency constant: give step=…, or ttft=… and itl=…; "
            "for example constant:ttft=200ms,itl=20ms"
        )
    return Constant(
        given.seconds("ttft", 0.0), given.seconds("itl", 0.0), given.seconds("prefill_token", 0.0)
    )
