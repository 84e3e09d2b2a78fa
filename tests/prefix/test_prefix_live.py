"""What a live server's step log and events say, against the server's own counters."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.paths import DEMO_MODEL, DEMO_TRACE
from support.server import Server, free_port

from vllm.sim.cli.main import main
from vllm.sim.metrics.prefix_steps import steps_facts
from vllm.sim.records import ScheduledRequest, StepRecord


def _step(at_ns: int, *requests: ScheduledRequest, finished: tuple[str, ...] = ()) -> StepRecord:
    return StepRecord(0, at_ns, 0, list(requests), 1, 0, [], list(finished), 5, 5, 0)


def test_prompts_and_hits_follow_from_steps() -> None:
    steps = [
        _step(0, ScheduledRequest("a", 8, 0, "prefill", 0, samples=False)),
        _step(1, ScheduledRequest("a", 4, 8, "prefill"), ScheduledRequest("b", 4, 8, "prefill", 8)),
        _step(2, ScheduledRequest("a", 1, 12, "decode"), finished=("b",)),
        _step(3, ScheduledRequest("c", 8, 0, "prefill", 0, samples=False)),  # never gets through
        _step(4, finished=("a", "c")),
        _step(5, ScheduledRequest("b", 1, 8, "prefill", 8)),  # the id again
    ]
    facts = steps_facts(steps, "log")
    assert facts["total_requests"] == 3
    assert (facts["prompt_tokens"], facts["shared_tokens"]) == (12 + 12 + 9, 16)
    assert facts["blocks_evicted"] is None and facts["block_hit_count"]["mean"] is None


@pytest.mark.server
def test_a_server_is_read_while_it_runs(tmp_path: Path) -> None:
    port = free_port()
    events = {"enable_kv_cache_events": True, "publisher": "zmq", "endpoint": f"tcp://*:{port}"}
    server = Server(
        DEMO_MODEL, "--use-simulator", "--sim-trace", str(DEMO_TRACE), "--sim-step-log",
        str(tmp_path / "steps"), "--sim-on-miss", "echo", "--max-model-len", "1024",
        "--num-gpu-blocks-override", "80", "--kv-events-config", json.dumps(events),
        log=tmp_path / "server.log",
    )  # fmt: skip
    with server:
        listener = subprocess.Popen(
            [
                sys.executable, "-m", "vllm.sim", "prefix", "--steps", str(tmp_path / "steps"),
                "--kv-events", f"tcp://127.0.0.1:{port}", "--listen-seconds", "6",
                "--out", str(tmp_path / "out"),
            ], stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert listener.stderr is not None
        while "listening" not in (line := listener.stderr.readline()):
            assert line, "the listener ended at start"
        time.sleep(1)  # a subscription takes a moment to reach the publisher
        client = server.client()
        common = "The rules of the house are long and dull. " * 8
        for at in range(12):
            # Each guest asks twice; the guests together fill the cache.
            text = common + f"Guest {at - at % 2} asks. " * 30 + f"Question {at}?"
            client.completions.create(model="sim", prompt=text, max_tokens=2)
        assert listener.wait(60) == 0
        listener.stderr.close()
        queries, hits = (
            server.metric("vllm:prefix_cache_queries_total"),
            server.metric("vllm:prefix_cache_hits_total"),
        )
    facts = json.loads((tmp_path / "out" / "prefix.json").read_text())
    assert (facts["prompt_tokens"], facts["shared_tokens"]) == (queries, hits)
    assert facts["total_requests"] == 12 and hits > 0
    assert facts["block_size"] == 16 and facts["blocks_reused"] == hits // 16
    assert facts["unique_blocks"] > 79 and facts["blocks_evicted"] > 0


def test_without_a_step_log_the_error_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prefix", "--steps", str(tmp_path)]) == 2
    assert "steps.jsonl" in capsys.readouterr().err
