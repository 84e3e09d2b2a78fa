"""The summary of a run: by hand, and as ``vllm bench serve`` computes it."""

from __future__ import annotations

import random

import pytest

from vllm.sim.metrics.requests import RequestTally
from vllm.sim.metrics.steps import StepTally
from vllm.sim.metrics.summary import summarize
from vllm.sim.records import RequestRecord, StepRecord

S = 10**9


def request(
    arrival_s: float, ttft_s: float, gaps_s: list[float], **others: object
) -> RequestRecord:
    gaps_ns = [round(gap * S) for gap in gaps_s]
    first_ns = round((arrival_s + ttft_s) * S)
    fields: dict[str, object] = {
        "id": "r", "arrival_ns": round(arrival_s * S), "prompt_tokens": 10,
        "output_tokens": 1 + len(gaps_s), "cached_tokens": 0, "preemptions": 0,
        "finish_reason": "stop", "first_token_ns": first_ns, "end_ns": first_ns + sum(gaps_ns),
        "itl_ns": gaps_ns,
    }  # fmt: skip
    return RequestRecord(**{**fields, **others})  # type: ignore[arg-type]


def tally_of(*records: RequestRecord) -> RequestTally:
    tally = RequestTally()
    for record in records:
        tally.add(record)
    return tally


def test_by_hand() -> None:
    summary = summarize(
        tally_of(
            request(1.0, 0.5, [0.1, 0.3], prompt_tokens=100, cached_tokens=32),
            request(2.0, 0.25, [], prompt_tokens=60),
            request(2.5, 0.0, [], finish_reason="refused", first_token_ns=None, end_ns=None),
        ),
        StepTally(),
    )
    assert summary["completed"] == 2 and summary["failed"] == summary["refused"] == 1
    assert summary["duration"] == 1.25  # 1.0 to 2.25
    assert summary["request_throughput"] == pytest.approx(2 / 1.25)
    assert summary["output_throughput"] == pytest.approx(4 / 1.25)
    assert summary["total_token_throughput"] == pytest.approx(164 / 1.25)
    assert summary["mean_ttft_ms"] == pytest.approx(375)
    assert summary["mean_tpot_ms"] == pytest.approx(200)  # of the one with a second token
    assert summary["median_itl_ms"] == pytest.approx(200)
    assert summary["mean_e2el_ms"] == pytest.approx((900 + 250) / 2)
    assert summary["prefix_cache_hit_rate"] == pytest.approx(32 / 160)
    assert summary["max_concurrent_requests"] == 1
    assert summary["max_output_tokens_per_s"] == 3


def test_a_run_without_requests_is_all_zero() -> None:
    summary = summarize(RequestTally(), StepTally())
    assert summary["in_domain_share"] == 1
    assert not any(
        value for key, value in summary.items() if key not in {"schema_version", "in_domain_share"}
    )


def test_unfinished_requests_fail_and_leave_the_latencies_alone() -> None:
    tally = tally_of(
        request(0.0, 1.0, [0.5]),
        request(0.0, 1.0, [9.0], finish_reason="unfinished", end_ns=None),
    )
    summary = summarize(tally, StepTally())
    assert summary["unfinished"] == summary["failed"] == 1
    assert summary["mean_itl_ms"] == pytest.approx(500)


def test_steps() -> None:
    steps = StepTally()
    for number, in_domain in enumerate([True, True, False, True]):
        steps.add(
            StepRecord(
                step=number,
                start_ns=0,
                duration_ns=S // 4,
                requests=[],
                running=number,
                waiting=2,
                preempted=["a", "b"] if number == 1 else [],
                finished=[],
                free_blocks=30,
                used_blocks=10 * number,
                cached_tokens=0,
                in_domain=in_domain,
            )
        )
    summary = summarize(RequestTally(), steps)
    assert summary["steps"] == 4 and summary["preemptions"] == 2
    assert summary["in_domain_share"] == 0.75
    assert summary["busy_seconds"] == 1.0
    assert summary["peak_running"] == 3 and summary["peak_waiting"] == 2
    assert summary["peak_kv_usage"] == 0.5


def test_as_vllm_bench_serve_computes_it() -> None:
    """Its own function on the same requests."""
    serve = pytest.importorskip("vllm.benchmarks.serve")
    source = random.Random(4)
    records, outputs = [], []
    for _ in range(200):
        arrival_s, ttft_s = source.uniform(0, 20), source.uniform(0.01, 0.5)
        gaps_s = [source.choice([0.01, 0.02, 0.035]) for _ in range(source.randint(0, 40))]
        record = request(arrival_s, ttft_s, gaps_s, prompt_tokens=source.randint(1, 500))
        records.append(record)
        assert record.end_ns is not None
        outputs.append(
            serve.RequestFuncOutput(
                success=True,
                start_time=record.arrival_ns / S,
                ttft=ttft_s,
                itl=gaps_s,
                latency=(record.end_ns - record.arrival_ns) / S,
                prompt_len=record.prompt_tokens,
                output_tokens=record.output_tokens,
            )
        )
    tally = tally_of(*records)
    summary = summarize(tally, StepTally())
    theirs, _ = serve.calculate_metrics(
        input_requests=[], outputs=outputs, dur_s=tally.duration_s, tokenizer=None,
        selected_percentiles=[50, 90, 95, 99], goodput_config_dict={},
    )  # fmt: skip
    assert summary["completed"] == theirs.completed
    for key in ("request_throughput", "output_throughput", "total_token_throughput"):
        assert summary[key] == pytest.approx(getattr(theirs, key))
    for name in ("ttft", "tpot", "itl", "e2el"):
        for statistic in ("mean", "median", "std"):
            key = f"{statistic}_{name}_ms"
            assert summary[key] == pytest.approx(getattr(theirs, key), rel=1e-6), key
        for percent, value in getattr(theirs, f"percentiles_{name}_ms")[1:]:
            assert summary[f"p{percent}_{name}_ms"] == pytest.approx(value, rel=1e-6)
    # Upstream counts seconds from the first request on, we count those of the clock.
    assert summary["max_concurrent_requests"] == pytest.approx(
        theirs.max_concurrent_requests, rel=0.1
    )
