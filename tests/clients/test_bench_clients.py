"""Clients from outside report what was simulated: recorded answers, counted tokens, step times."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from client_runs import bench_serve, recorded_rows, run_client
from support.paths import DEMO_MODEL
from support.server import Server
from support.traces import write_trace

from vllm.sim.cli.main import main

pytestmark = [pytest.mark.server, pytest.mark.slow]

STEP_MS = 20.0
ROWS = recorded_rows(12)


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_trace(tmp_path_factory.mktemp("clients") / "trace.jsonl", ROWS)


@pytest.fixture(scope="module")
def server(trace: Path) -> Iterator[Server]:
    with Server(
        DEMO_MODEL, "--use-simulator", "--sim-trace", str(trace), "--sim-on-miss", "synthetic",
        "--sim-latency", f"constant:step={STEP_MS}ms", log=trace.with_name("log.txt"),
    ) as server:  # fmt: skip
        yield server


def answer_tokens() -> list[int]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(DEMO_MODEL / "tokenizer.json"))
    return [len(tokenizer.encode(row["response"], add_special_tokens=False)) for row in ROWS]


def assert_paced(result: dict[str, Any]) -> None:
    """Nothing comes before its step is over; what comes later is the machine's own."""
    assert result["median_itl_ms"] == pytest.approx(STEP_MS, rel=0.05)
    assert result["mean_tpot_ms"] > 0.97 * STEP_MS
    assert min(result["ttfts"]) * 1000 > STEP_MS


def test_vllm_bench_custom(server: Server, trace: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("pandas") is None:
        pytest.skip("vllm bench serve reads the custom dataset with pandas (pip install pandas)")
    result = bench_serve(
        server, tmp_path, "--dataset-name", "custom", "--dataset-path", trace, "--disable-shuffle",
        "--skip-chat-template", "--custom-output-len", "1000", "--num-prompts", str(len(ROWS)),
        "--max-concurrency", "6",
    )  # fmt: skip
    assert result["completed"] == len(ROWS)
    assert result["generated_texts"] == [row["response"] for row in ROWS]
    assert result["output_lens"] == [tokens + 1 for tokens in answer_tokens()]
    assert_paced(result)


def test_vllm_bench_sharegpt(server: Server, trace: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "sharegpt.json"
    assert main(["trace", "convert", str(trace), "--to", "sharegpt", "--out", str(dataset)]) == 0
    before = server.metric("sim:trace_hits_total")
    result = bench_serve(
        server, tmp_path, "--dataset-name", "sharegpt", "--dataset-path", dataset,
        "--disable-shuffle", "--num-prompts", str(len(ROWS)), "--request-rate", "10",
    )  # fmt: skip
    assert result["completed"] == len(ROWS)
    assert result["generated_texts"] == [row["response"] for row in ROWS]
    assert server.metric("sim:trace_hits_total") - before == len(ROWS) + 1  # and a warm-up
    assert_paced(result)


def test_vllm_bench_timed_trace(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The prompts are the client's own, and share what the trace's hash ids say."""
    made, dataset = tmp_path / "shared_prefix_trace.jsonl", tmp_path / "timed.jsonl"
    options = "--mode shared-prefix --requests 20 --groups 2 --prefix-tokens 256 --input-tokens 40"
    times = "--output-tokens 10 --arrival-rate 10"
    generate = ["trace", "generate", *options.split(), *times.split(), "--out", str(tmp_path)]
    assert main(generate) == 0
    assert main(["trace", "convert", str(made), "--to", "timed-trace", "--out", str(dataset)]) == 0
    capsys.readouterr()
    assert main(["trace", "stats", str(made), "--json"]) == 0
    stats = json.loads(capsys.readouterr().out)

    names = ("vllm:prefix_cache_hits_total", "vllm:prefix_cache_queries_total")
    before = [server.metric(name) for name in names]
    result = bench_serve(
        server, tmp_path, "--dataset-name", "timed_trace", "--dataset-path", dataset,
        "--num-prompts", "20", "--num-warmups", "0",
    )  # fmt: skip
    hits, queries = (server.metric(name) - old for name, old in zip(names, before, strict=True))
    assert result["completed"] == 20
    assert result["output_lens"] == [10] * 20
    assert queries == result["total_input_tokens"] == 20 * 296
    assert hits == stats["reuse"]["hit_tokens"] > 0.7 * queries
    assert_paced(result)


def test_guidellm(server: Server, trace: Path, tmp_path: Path) -> None:
    if shutil.which("guidellm") is None:
        pytest.skip("no guidellm on the PATH")
    backend = f"kind=openai_http,target={server.url},model={server.model}"
    run_client(
        tmp_path, "guidellm", "run",
        "--backend", f"{backend},request_format=/v1/completions,max_tokens=1000",
        "--tokenizer", f"kind=huggingface_auto,model={DEMO_MODEL}",
        "--data", f"kind=json_file,path={trace}", "--profile", "kind=concurrent,streams=4",
        "--constraint", f"kind=max_requests,count={len(ROWS)}",
        "--constraint", "kind=max_duration,seconds=60",
        "--output", "kind=json,path=result.json", "--disable-console",
    )  # fmt: skip
    (benchmark,) = json.loads((tmp_path / "result.json").read_text("utf-8"))["benchmarks"]
    answered = benchmark["requests"]["successful"]
    assert sorted(each["output"] for each in answered) == sorted(row["response"] for row in ROWS)
    tokens = answer_tokens()
    metrics = benchmark["metrics"]
    counted = metrics["output_token_count"]["successful"]["total_sum"]
    assert counted == pytest.approx(sum(tokens) + len(ROWS))
    # guidellm divides by the end token too, which comes without a text and so without a time.
    expected = STEP_MS * sum(count - 1 for count in tokens) / sum(tokens)
    assert metrics["inter_token_latency_ms"]["successful"]["mean"] == pytest.approx(
        expected, rel=0.05
    )
