"""Two data-parallel engines behind one server: real engine processes, real coordinator."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from support.paths import DEMO_MODEL
from support.server import Server
from support.traces import write_trace

from vllm.sim.step_log import read_steps

pytestmark = [pytest.mark.server, pytest.mark.slow]

ROWS = [{"prompt": f"Question {n}", "response": f" answer {n}"} for n in range(12)]


def test_two_engines_share_the_requests(tmp_path):
    trace = write_trace(tmp_path / "trace.jsonl", ROWS)
    with Server(
        DEMO_MODEL, "--use-simulator", "--sim-trace", str(trace), "--data-parallel-size", "2",
        "--sim-latency", "constant:step=20ms", "--sim-step-log", str(tmp_path / "log"),
        log=tmp_path / "log.txt",
    ) as server:  # fmt: skip
        client = server.client()

        def ask(row):
            answer = client.completions.create(model="sim", prompt=row["prompt"], max_tokens=20)
            return answer.choices[0].text

        with ThreadPoolExecutor(len(ROWS)) as pool:
            assert list(pool.map(ask, ROWS)) == [row["response"] for row in ROWS]
        finished = [
            server.metric(f'vllm:request_success_total{{engine="{engine}",finished_reason="stop"')
            for engine in (0, 1)
        ]
        assert sum(finished) == len(ROWS) and min(finished) >= 4
        assert server.metric("sim:trace_hits_total") == len(ROWS)
        server.stop()
    for name in ("steps.jsonl", "steps.dp1.jsonl"):
        steps = list(read_steps(tmp_path / "log" / name))
        assert {step.duration_ns for step in steps} == {20_000_000}
        assert any(request.phase == "decode" for step in steps for request in step.requests)
