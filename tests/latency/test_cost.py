"""A prediction for 256 requests costs so little that replay is not slowed by it."""

from __future__ import annotations

import statistics
import time

import pytest
from latency_batches import DENSE, step_of
from test_aiconfigurator import TABLES
from test_fitted_file import MODEL

from vllm.sim.devices.load import load_device
from vllm.sim.latency.aiconfigurator import MeasuredKernels
from vllm.sim.latency.constant import Constant
from vllm.sim.latency.hf_config import shape_from_hf_config
from vllm.sim.latency.model import LatencyModel
from vllm.sim.latency.recorded import Recorded
from vllm.sim.latency.roofline import Roofline
from vllm.sim.records import ScheduledRequest

TARGET_US = 50
SLACK = 4  # for a busy machine; the median of many calls is stable, its level is not

SHAPE = shape_from_hf_config(DENSE)
MODELS: dict[str, LatencyModel] = {
    "constant": Constant(0.2, 0.02),
    "recorded": Recorded(),
    "fitted": MODEL,
    "roofline": Roofline(load_device("h100_sxm"), SHAPE),
    "aiconfigurator": MeasuredKernels(TABLES, SHAPE),
}


@pytest.mark.parametrize("name", MODELS)
def test_under_fifty_microseconds(name: str) -> None:
    model = MODELS[name]
    requests = []
    for index in range(256):
        id = f"request-{index}"
        model.admit(id, 400, 0.1, [0.01] * 2000)
        requests.append(ScheduledRequest(id, 1, 500 + index, "decode"))
    requests[-1] = ScheduledRequest("request-255", 512, 0, "prefill")
    step = step_of(*requests)
    costs_ns = []
    for _ in range(200):
        start_ns = time.perf_counter_ns()
        model.step_time(step)
        costs_ns.append(time.perf_counter_ns() - start_ns)
    assert statistics.median(costs_ns) / 1000 < TARGET_US * SLACK


@pytest.mark.parametrize("name", MODELS)
def test_same_steps_same_times(name: str) -> None:
    model = MODELS[name]
    model.admit("a", 100, 0.1, [0.01, 0.02])
    steps = [
        step_of(ScheduledRequest("a", 100, 0, "prefill")),
        step_of(ScheduledRequest("a", 1, 100, "decode")),
    ]
    first = [model.step_time(step) for step in steps]
    assert first == [model.step_time(step) for step in steps]
    assert all(isinstance(duration_ns, int) and duration_ns >= 0 for duration_ns, _ in first)
