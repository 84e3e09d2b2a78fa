"""Step times from the command line."""

from __future__ import annotations

from itertools import pairwise

import pytest
from latency_batches import step_of

from vllm.sim.errors import LatencyError
from vllm.sim.latency.constant import build_constant
from vllm.sim.records import ScheduledRequest

MS = 1_000_000


def chunk(new: int, computed: int, samples: bool = True, id: str = "a") -> ScheduledRequest:
    return ScheduledRequest(id, new, computed, "prefill", samples=samples)


DECODE = ScheduledRequest("d", 1, 500, "decode")


def test_every_step() -> None:
    model = build_constant("step=20ms")
    for step in (step_of(DECODE), step_of(chunk(100, 0)), step_of()):
        assert model.step_time(step) == (20 * MS, True)


def test_ttft_for_prefills_and_itl_for_decodes() -> None:
    model = build_constant("ttft=0.2,itl=20ms")
    model.admit("a", 100, None, None)
    assert model.step_time(step_of(chunk(100, 0))).duration_ns == 200 * MS
    assert model.step_time(step_of(DECODE)).duration_ns == 20 * MS


def test_prefills_of_one_step_run_side_by_side() -> None:
    model = build_constant("ttft=200ms,itl=20ms")
    model.admit("a", 100, None, None)
    model.admit("b", 100, None, None)
    step = step_of(chunk(100, 0), chunk(100, 0, id="b"), DECODE)
    assert model.step_time(step).duration_ns == 200 * MS


@pytest.mark.parametrize("cached", [0, 16])
def test_chunks_add_up_to_ttft(cached: int) -> None:
    model = build_constant("ttft=300ms,itl=1us")
    model.admit("a", 1016, None, None)
    bounds = [cached, 256, 700, 1016]
    total = sum(
        model.step_time(step_of(chunk(end - start, start, samples=end == 1016))).duration_ns
        for start, end in pairwise(bounds)
    )
    assert total == pytest.approx(300 * MS, abs=2)


def test_a_preempted_request_prefills_again() -> None:
    model = build_constant("ttft=300ms,itl=1us")
    model.admit("a", 100, None, None)
    assert model.step_time(step_of(chunk(60, 0, samples=False))).duration_ns == 180 * MS
    # Preempted; 16 of its tokens are still cached.
    again = [chunk(60, 16, samples=False), chunk(24, 76)]
    total = sum(model.step_time(step_of(request)).duration_ns for request in again)
    assert total == 300 * MS


def test_prefill_tokens_add() -> None:
    model = build_constant("prefill_token=10us,itl=5ms")
    model.admit("a", 100, None, None)
    assert model.step_time(step_of(chunk(100, 0))).duration_ns == 1 * MS
    assert model.step_time(step_of(chunk(100, 0), DECODE)).duration_ns == 6 * MS


def test_forgets() -> None:
    model = build_constant("ttft=300ms,itl=1ms")
    model.admit("a", 100, None, None)
    model.step_time(step_of(chunk(50, 0, samples=False)))
    model.forget("a")
    model.forget("never seen")
    model.admit("a", 10, None, None)
    assert model.step_time(step_of(chunk(5, 0, samples=False))).duration_ns == 150 * MS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "give step=…, or ttft=… and itl=…"),
        ("ttft=0.2", "give step=…, or ttft=… and itl=…"),
        ("itl=0.2", "give step=…, or ttft=… and itl=…"),
        ("step=1,itl=1", "step stands alone"),
        ("ttft=0.2,itl=fast", "itl must be a duration such as 0.02, 20ms or 350us, is 'fast'"),
        ("ttft=0.2,itl=-1", "itl must be a duration"),
        ("ttft=0.2,itl=1.2.3", "itl must be a duration"),
        ("ttft=0.2,itl=1e999", "itl must be a duration"),
        ("ttft=0.2,itl=1min", "itl must be a duration"),
        ("ttft=0.2,tpot=1", "unknown key 'tpot'; known are step, ttft, itl, prefill_token"),
        ("ttft=0.2,ttft=1", "ttft is given twice"),
        ("0.2", "expected key=value, got '0.2'"),
        ("ttft=", "expected key=value"),
    ],
)
def test_wrong_text(text: str, message: str) -> None:
    with pytest.raises(LatencyError) as caught:
        build_constant(text)
    assert message in str(caught.value)
    assert str(caught.value).startswith("--sim-latency constant")


def test_describes_itself() -> None:
    assert "0.02 s" in build_constant("step=20ms").describe()
    assert "0.2 s" in build_constant("ttft=200ms,itl=20ms").describe()
