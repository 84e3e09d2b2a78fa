"""``vllm serve --sim-record``: a real server's traffic becomes a trace that can be replayed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.models import save_tiny_llama
from support.server import Server

from replay.conftest import Run
from vllm.sim.trace.read import TraceFile

pytestmark = pytest.mark.server


def test_a_real_server_is_recorded(tmp_path: Path) -> None:
    model = save_tiny_llama(tmp_path / "model")
    out = tmp_path / "recording"
    options = (
        "--dtype", "float32", "--enforce-eager", "--max-model-len", "512", "--max-num-seqs", "4",
        "--block-size", "32", "--num-gpu-blocks-override", "200", "--gpu-memory-utilization",
        "0.1", "--sim-record", str(out), "--shutdown-timeout", "10",
    )  # fmt: skip
    with Server(model, *options, log=tmp_path / "log") as server:
        client = server.client()

        def ask(number: int) -> int:
            answer = client.completions.create(
                model=server.model, prompt=[5 + number] * 40, max_tokens=12,
                extra_body={"ignore_eos": True},
            )  # fmt: skip
            return answer.usage.completion_tokens

        with ThreadPoolExecutor(6) as pool:
            assert set(pool.map(ask, range(6))) == {12}
        stream = client.completions.create(
            model=server.model, prompt=[99] * 30, max_tokens=400, stream=True,
            extra_body={"ignore_eos": True},
        )  # fmt: skip
        next(iter(stream))
        stream.close()  # the client leaves
        ask(7)
    run = Run(out)
    assert run.summary["completed"] == 7
    ended = sorted((record.finish_reason, record.prompt_tokens) for record in run.by_end)
    assert ended == [("abort", 30), *[("length", 40)] * 7]
    for record in run.by_end:
        assert record.ttft_ns is not None and record.ttft_ns > 0
        if record.finish_reason == "length":
            assert record.output_tokens == 12 and len(record.itl_ns) == 11
    steps = run.steps
    assert all(step.duration_ns > 0 for step in steps)
    ends = [step.start_ns + step.duration_ns for step in steps]
    assert all(end <= step.start_ns for end, step in zip(ends, steps[1:], strict=False))
    with TraceFile(out / "trace.jsonl") as file:
        rows = [placed.row for placed in file]
        assert file.header is not None and file.header.num_gpu_blocks == 200
    assert len(rows) == 8
    assert [row.timestamp for row in rows] == sorted(row.timestamp or 0 for row in rows)
