"""Time: it never runs backwards, and steps follow each other as on a device."""

from __future__ import annotations

import time

import pytest

from vllm.sim.clock import DeviceTimeline, VirtualClock, WallClock
from vllm.sim.errors import SettingsError

MS = 1_000_000


def test_virtual_time_jumps_and_never_runs_backwards():
    clock = VirtualClock()
    clock.wait_until_ns(5)
    clock.wait_until_ns(3)
    assert clock.now_ns() == 5


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_wall_time_is_scaled(scale):
    clock = WallClock(scale)
    began = time.monotonic()
    due = clock.now_ns() + int(40 * MS * scale)
    clock.wait_until_ns(due)
    assert clock.now_ns() >= due
    assert 0.039 < time.monotonic() - began < 0.5
    assert 0 <= clock.lag_ns <= clock.max_lag_ns


def test_a_late_wait_does_not_add_up():
    clock = WallClock()
    clock.wait_until_ns(clock.now_ns() - 7 * MS)
    assert clock.lag_ns >= 7 * MS


def test_a_clock_needs_a_speed():
    with pytest.raises(SettingsError, match="--sim-time-scale"):
        WallClock(0)


def test_one_device_runs_steps_end_to_end():
    device = DeviceTimeline()
    assert device.submit(0, 50) == (0, 50)
    assert device.submit(10, 50) == (50, 100)  # scheduled ahead, waits for the device
    assert device.submit(300, 50) == (300, 350)  # the device was idle


def test_a_pipeline_overlaps_steps_of_different_requests():
    pipeline = DeviceTimeline(stages=2)
    assert pipeline.submit(0, 100) == (0, 100)
    assert pipeline.submit(0, 100) == (50, 150)  # enters stage 0 when the first has left it
    assert pipeline.submit(0, 100) == (100, 200)


def test_a_pipeline_waits_for_the_token_that_a_step_continues():
    pipeline = DeviceTimeline(stages=2)
    _, sampled_at = pipeline.submit(0, 100)
    assert pipeline.submit(0, 100, inputs_at_ns=sampled_at) == (100, 200)


def test_stages_take_the_whole_duration_to_the_nanosecond():
    for stages in (1, 2, 3, 7):
        assert DeviceTimeline(stages).submit(0, 100) == (0, 100)
