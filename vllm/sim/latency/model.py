"""What a latency model is: a step's composition in, integer nanoseconds out."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ..records import StepRecord


class StepTime(NamedTuple):
    """A prediction.

    ``in_domain`` is false when the step lies outside what the model was fitted
    or measured on; the number is then an extrapolation, and is counted as one.
    """

    duration_ns: int
    in_domain: bool = True


class LatencyModel(Protocol):
    """Predicts how long the simulated device takes for a step, host time included.

    ``step_time`` reads the requests of the record and nothing else (its times are
    not filled in yet). It is called once a step, in order, and costs under 50 us
    at 256 requests; its own running time never enters simulated time.
    """

    def step_time(self, step: StepRecord) -> StepTime:
        """The step's duration, >= 0 ns."""

    def admit(
        self, request_id: str, prompt_tokens: int, ttft_s: float | None, itl_s: list[float] | None
    ) -> None:
        """A request's first step is about to be asked for; the trace measured these times."""

    def forget(self, request_id: str) -> None:
        """A request has ended. Unknown ids are ignored."""

    def describe(self) -> str:
        """One line for the log: what the model is and where it holds."""


class StatelessModel:
    """A base for models that look at a step alone."""

    def admit(
        self, request_id: str, prompt_tokens: int, ttft_s: float | None, itl_s: list[float] | None
    ) -> None:
        pass

    def forget(self, request_id: str) -> None:
        pass


class Instant(StatelessModel):
    """Every step takes no time: for tests of clients, and for cache studies."""

    def step_time(self, step: StepRecord) -> StepTime:
        return StepTime(0)

    def describe(self) -> str:
        return "instant: every step takes 0 s"
