"""Law 5: time is an object, integer nanoseconds, and never runs backwards; the predictor's own
running time never leaks into it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.engines import core_of, running_engine
from support.script import drive
from support.virtual_time import VirtualTimeExecutor

from vllm.sim.clock import DeviceTimeline, VirtualClock
from vllm.sim.latency.constant import ConstantStep
from vllm.sim.latency.model import StepTime
from vllm.sim.records import StepRecord
from vllm.sim.step_log import read_steps

from .traffic import ROWS, Request, script_of

STEP_NS = 20_000_000
PREDICTING_NS = 7_000_000

SCRIPT = script_of(
    [
        Request(row=row, arrives=3 * at, limit=12, ignore_eos=True, min_tokens=0, priority=0,
                leaves_after=None)
        for at, row in enumerate((10, 44, 71, len(ROWS) - 1))
    ],
    by_priority=False,
)  # fmt: skip


class PassingClock(VirtualClock):
    """Time also passes on its own, as on a wall clock, while something is computed."""

    def passes(self, ns: int) -> None:
        self._now_ns += ns


class SlowPredictor(ConstantStep):
    """Takes its time to say how long a step takes."""

    def __init__(self, clock: PassingClock, takes_ns: int) -> None:
        super().__init__(STEP_NS / 1e9)
        self._clock, self._takes_ns = clock, takes_ns

    def step_time(self, step: StepRecord) -> StepTime:
        self._clock.passes(self._takes_ns)
        return super().step_time(step)


class PassingTimeExecutor(VirtualTimeExecutor):
    def _make_clock(self) -> PassingClock:
        return PassingClock()


def records(
    model: Path, trace: Path, folder: Path, predicting_ns: int, async_scheduling: bool
) -> list[StepRecord]:
    with running_engine(
        model, trace=trace, async_scheduling=async_scheduling, block_size=4,
        num_gpu_blocks_override=30, max_model_len=48, sim_step_log=str(folder),
        distributed_executor_backend=PassingTimeExecutor,
    ) as engine:  # fmt: skip
        executor = core_of(engine).model_executor
        executor.latency = SlowPredictor(executor.clock, predicting_ns)
        drive(engine, SCRIPT)
    return list(read_steps(folder / "steps.jsonl"))


@pytest.mark.engine
@pytest.mark.parametrize("async_scheduling", [False, True], ids=["sync", "async"])
def test_law_5_a_slow_predictor_changes_no_simulated_time(
    model: Path, traffic_trace: Path, tmp_path: Path, async_scheduling: bool
) -> None:
    quick = records(model, traffic_trace, tmp_path / "quick", 0, async_scheduling)
    slow = records(model, traffic_trace, tmp_path / "slow", PREDICTING_NS, async_scheduling)
    assert slow == quick
    assert len(quick) > 15


@pytest.mark.engine
@pytest.mark.parametrize("async_scheduling", [False, True], ids=["sync", "async"])
def test_law_5_steps_follow_each_other_in_time(
    model: Path, traffic_trace: Path, tmp_path: Path, async_scheduling: bool
) -> None:
    """With work for the device at any time, each step begins when the last one ends."""
    log = records(model, traffic_trace, tmp_path, 0, async_scheduling)
    assert [record.start_ns for record in log] == [STEP_NS * at for at in range(len(log))]
    assert all(type(record.start_ns) is type(record.duration_ns) is int for record in log)


times = st.integers(0, 10**15)


@settings(derandomize=True, database=None)
@given(
    stages=st.integers(1, 4),
    steps=st.lists(st.tuples(times, times, st.integers(0, 10**12)), max_size=30),
)
def test_law_5_a_device_never_runs_backwards(
    stages: int, steps: list[tuple[int, int, int]]
) -> None:
    """Steps handed over at any times, with any durations, start and end in their order."""
    clock, device = VirtualClock(), DeviceTimeline(stages)
    last_start = last_end = 0
    for at_ns, inputs_at_ns, duration_ns in steps:
        before = clock.now_ns()
        clock.wait_until_ns(at_ns)
        assert clock.now_ns() == max(before, at_ns)
        start, end = device.submit(clock.now_ns(), duration_ns, inputs_at_ns)
        assert start >= max(clock.now_ns(), inputs_at_ns, last_start)
        assert end >= max(start + duration_ns, last_end)
        if stages == 1:
            assert start >= last_end and end == start + duration_ns
        last_start, last_end = start, end
