"""Where two schedules first part: the first step that does not do the same in both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest

from ..records import ScheduledRequest, StepRecord


@dataclass(frozen=True)
class Parting:
    """The first step that differs.

    Attributes:
        place: How many steps are the same before it.
        at_ns: When the step starts in each run; None where the run has no such step.
        differences: What of it differs: what, in the first run, in the other. None for nothing.
    """

    place: int
    at_ns: tuple[int | None, int | None]
    differences: list[tuple[str, str | None, str | None]]


def first_parting(one: Iterable[StepRecord], other: Iterable[StepRecord]) -> Parting | None:
    """Compare what was scheduled and preempted, step by step; times do not count.

    Returns:
        None when the schedules are the same to the end.
    """
    for place, (a, b) in enumerate(zip_longest(one, other)):
        if a is None or b is None or _decided(a) != _decided(b):
            return Parting(
                place,
                (None if a is None else a.start_ns, None if b is None else b.start_ns),
                _differences(a, b),
            )
    return None


def _decided(step: StepRecord) -> tuple[list[ScheduledRequest], list[str]]:
    return sorted(step.requests, key=lambda request: request.id), step.preempted


def _differences(
    a: StepRecord | None, b: StepRecord | None
) -> list[tuple[str, str | None, str | None]]:
    if a is None or b is None:
        return [("the run", "has ended" if a is None else None, "has ended" if b is None else None)]
    of_a, of_b = ({request.id: _words(request) for request in step.requests} for step in (a, b))
    found = [
        (request_id, of_a.get(request_id), of_b.get(request_id))
        for request_id in {**of_a, **of_b}
        if of_a.get(request_id) != of_b.get(request_id)
    ]
    if a.preempted != b.preempted:
        found.append(("preempted", ", ".join(a.preempted) or None, ", ".join(b.preempted) or None))
    return found


def _words(request: ScheduledRequest) -> str:
    words = f"{request.phase} of {request.new_tokens} after {request.computed_tokens}"
    return words + (f", {request.cached_tokens} cached" if request.cached_tokens else "")
