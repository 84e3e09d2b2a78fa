"""A paced server: tokens come when the device would have made them, and lag is not hidden."""

from __future__ import annotations

import time
from itertools import pairwise
from statistics import mean

import pytest
from support.paths import DEMO_MODEL
from support.server import Server
from support.traces import write_trace

pytestmark = [pytest.mark.server, pytest.mark.slow]

STEP_S = 0.05


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pacing")
    trace = write_trace(folder / "t.jsonl", [{"prompt": "Hello", "response": " one two three"}])
    with Server(
        DEMO_MODEL, "--use-simulator", "--sim-trace", str(trace),
        "--sim-latency", f"constant:step={STEP_S}s", log=folder / "log.txt",
    ) as server:  # fmt: skip
        yield server


def token_times(server, tokens: int) -> list[float]:
    stream = server.client().completions.create(
        model="sim", prompt="Hello", max_tokens=tokens, stream=True,
        extra_body={"ignore_eos": True, "return_token_ids": True},
    )  # fmt: skip
    times = []
    for chunk in stream:
        times += [time.monotonic()] * len(chunk.choices[0].token_ids or ())
    assert len(times) == tokens
    return times


def test_tokens_come_a_step_apart(server):
    token_times(server, 2)  # the first request of a server is slow in its front end
    times = token_times(server, 40)
    gaps = [after - before for before, after in pairwise(times)]
    assert mean(gaps) == pytest.approx(STEP_S, rel=0.03)


def test_steps_and_lag_are_exported(server):
    before = server.metric("sim:steps_total")
    token_times(server, 10)
    time.sleep(3 * STEP_S)
    # One step a token, and the one that asynchronous scheduling starts too many.
    assert server.metric("sim:steps_total") - before in (10, 11)
    assert server.metric("sim:steps_outside_domain_total") == 0
    assert 0 < server.metric("sim:lag_seconds") <= server.metric("sim:max_lag_seconds") < STEP_S
