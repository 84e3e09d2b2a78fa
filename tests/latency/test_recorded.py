"""Step times that give back what the trace recorded."""

from __future__ import annotations

import pytest
from latency_batches import step_of

from vllm.sim.latency.recorded import Recorded
from vllm.sim.records import ScheduledRequest

MS = 1_000_000


def prefill(id: str, new: int, computed: int, samples: bool = True) -> ScheduledRequest:
    return ScheduledRequest(id, new, computed, "prefill", samples=samples)


def decode(id: str, computed: int) -> ScheduledRequest:
    return ScheduledRequest(id, 1, computed, "decode")


@pytest.fixture
def model() -> Recorded:
    recorded = Recorded()
    recorded.admit("a", 10, 0.2, [0.01, 0.02, 0.03])
    recorded.admit("b", 20, 0.1, [0.05, 0.06])
    recorded.admit("bare", 5, None, None)
    return recorded


def test_one_request_alone_takes_what_it_took(model: Recorded) -> None:
    steps = [prefill("a", 10, 0), decode("a", 10), decode("a", 11), decode("a", 12)]
    times = [model.step_time(step_of(request)) for request in steps]
    assert times == [(200 * MS, True), (10 * MS, True), (20 * MS, True), (30 * MS, True)]


def test_chunks_share_the_ttft(model: Recorded) -> None:
    first = model.step_time(step_of(prefill("a", 4, 0, samples=False))).duration_ns
    last = model.step_time(step_of(prefill("a", 6, 4))).duration_ns
    assert (first, last) == (80 * MS, 120 * MS)


def test_decodes_count_with_their_mean_and_the_longest_part_wins(model: Recorded) -> None:
    both = [decode("a", 12), decode("b", 21)]
    assert model.step_time(step_of(*both)) == (45 * MS, True)
    assert model.step_time(step_of(*both, prefill("b", 20, 0))) == (100 * MS, True)


@pytest.mark.parametrize(
    ("requests", "expected_ns"),
    [
        ([prefill("bare", 5, 0)], 0),
        ([decode("bare", 5)], 0),
        ([decode("bare", 5), decode("a", 10)], 10 * MS),
        ([decode("a", 13)], 20 * MS),  # past the last gap: the mean of all
        ([decode("unheard of", 13)], 0),
        ([], 0),
    ],
)
def test_without_times_a_step_is_out_of_domain(
    model: Recorded, requests: list[ScheduledRequest], expected_ns: int
) -> None:
    assert model.step_time(step_of(*requests)) == (expected_ns, False)


def test_forgets(model: Recorded) -> None:
    model.forget("a")
    model.forget("never seen")
    assert not model.step_time(step_of(decode("a", 10))).in_domain
