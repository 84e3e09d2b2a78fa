"""The life of each request, told from the steps: waiting, prefill chunks, decode, preempted.

The step log alone is enough. With ``requests.jsonl`` beside it the arrivals are known
too, and how each request ended.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from ..records import RequestRecord, ScheduledRequest, StepRecord

# stalled: admitted, and yet not in a step that ran, because others used up its tokens.
State = Literal["waiting", "prefill", "decode", "preempted", "stalled"]


@dataclass(slots=True)
class Span:
    """A stretch of a life.

    Attributes:
        first_step: First step in it; for a state without one of its own, the first that ran
            meanwhile.
        last_step: Below ``first_step`` when no step ran in it.
        tokens: Computed in it.
    """

    state: State
    start_ns: int
    end_ns: int
    first_step: int
    last_step: int
    tokens: int = 0


@dataclass(slots=True)
class Life:
    """One request. ``record`` is None where only the step log is there."""

    id: str
    arrival_ns: int
    spans: list[Span] = field(default_factory=list)
    cached_tokens: int = 0
    record: RequestRecord | None = None

    @property
    def end_ns(self) -> int:
        return self.spans[-1].end_ns if self.spans else self.arrival_ns

    @property
    def preemptions(self) -> int:
        return sum(span.state == "preempted" for span in self.spans)


class Lives:
    """Follows every request from step to step.

    Args:
        requests: Their records, where there are any.
    """

    def __init__(self, requests: Iterable[RequestRecord] = ()) -> None:
        self._records = {record.id: record for record in requests}
        self._lives: dict[str, Life] = {}
        self._starts_ns: list[int] = []
        self._numbers: list[int] = []

    def add(self, step: StepRecord) -> None:
        self._starts_ns.append(step.start_ns)
        self._numbers.append(step.step)
        for request_id in step.preempted:
            if (life := self._lives.get(request_id)) is not None and life.spans:
                start_ns = max(step.start_ns, life.end_ns)
                life.spans.append(Span("preempted", start_ns, start_ns, step.step, step.step - 1))
        for request in step.requests:
            self._scheduled(self._life(request.id, step.start_ns), request, step)

    def all(self) -> list[Life]:
        """Every request, in the order of arrival."""
        for record in self._records.values():
            life = self._life(record.id, record.arrival_ns)
            if not life.spans and record.end_ns is not None:
                self._wait(life, record.end_ns, self._number_at(record.end_ns))
        return sorted(self._lives.values(), key=lambda life: (life.arrival_ns, _order(life.id)))

    def _life(self, request_id: str, start_ns: int) -> Life:
        if request_id not in self._lives:
            record = self._records.get(request_id)
            arrival_ns = start_ns if record is None else min(record.arrival_ns, start_ns)
            self._lives[request_id] = Life(request_id, arrival_ns, record=record)
        return self._lives[request_id]

    def _scheduled(self, life: Life, request: ScheduledRequest, step: StepRecord) -> None:
        end_ns = step.start_ns + step.duration_ns
        life.cached_tokens += request.cached_tokens
        if not life.spans:
            if life.arrival_ns < step.start_ns:
                self._wait(life, step.start_ns, step.step)
        elif life.spans[-1].state == "preempted":
            life.spans[-1].end_ns = max(life.end_ns, step.start_ns)
            life.spans[-1].last_step = step.step - 1
        elif life.spans[-1].last_step < step.step - 1 and life.end_ns < step.start_ns:
            life.spans.append(
                Span("stalled", life.end_ns, step.start_ns, life.spans[-1].last_step + 1,
                     step.step - 1)
            )  # fmt: skip
        last = life.spans[-1] if life.spans else None
        if last is not None and last.state == "decode" and request.phase == "decode":
            last.end_ns, last.last_step = end_ns, step.step
            last.tokens += request.new_tokens
        else:
            start_ns = max(step.start_ns, life.end_ns)
            life.spans.append(
                Span(request.phase, start_ns, max(end_ns, start_ns), step.step, step.step,
                     request.new_tokens)
            )  # fmt: skip

    def _wait(self, life: Life, until_ns: int, until_step: int) -> None:
        first = self._number_at(life.arrival_ns)
        life.spans.append(Span("waiting", life.arrival_ns, until_ns, first, until_step - 1))

    def _number_at(self, at_ns: int) -> int:
        """The first step that starts then or later."""
        place = bisect_left(self._starts_ns, at_ns)
        if place < len(self._numbers):
            return self._numbers[place]
        return self._numbers[-1] + 1 if self._numbers else 0


def _order(request_id: str) -> tuple[int, str]:
    """r2 before r10."""
    return len(request_id), request_id
