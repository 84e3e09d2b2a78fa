"""``summary.json``: the key names of ``vllm bench serve --save-result``, and our own."""

from __future__ import annotations

from typing import Any

from ..records import SCHEMA_VERSION
from .requests import RequestTally
from .samples import PERCENTILES, Samples
from .steps import StepTally

LATENCIES = ("ttft", "tpot", "itl", "e2el")


def summarize(requests: RequestTally, steps: StepTally) -> dict[str, Any]:
    """The figures of a run. Times of latencies are in milliseconds, others in seconds."""
    duration_s = requests.duration_s
    tokens = requests.input_tokens + requests.output_tokens
    summary: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "duration": duration_s,
        "completed": requests.completed,
        "failed": requests.failed,
        "refused": requests.finish_reasons["refused"],
        "unfinished": requests.finish_reasons["unfinished"],
        "total_input_tokens": requests.input_tokens,
        "total_output_tokens": requests.output_tokens,
        "request_throughput": _rate(requests.completed, duration_s),
        "output_throughput": _rate(requests.output_tokens, duration_s),
        "total_token_throughput": _rate(tokens, duration_s),
        "max_output_tokens_per_s": requests.peak_tokens_per_s,
        "max_concurrent_requests": requests.peak_concurrency,
    }
    samples = (requests.ttft_ns, requests.tpot_ns, requests.itl_ns, requests.e2el_ns)
    for name, of_name in zip(LATENCIES, samples, strict=True):
        summary |= _latency(name, of_name)
    summary |= {
        "steps": steps.steps,
        "preemptions": steps.preemptions,
        "prefix_cache_hit_rate": _rate(requests.cached_tokens, requests.admitted_tokens),
        "in_domain_share": steps.in_domain_share,
        "busy_seconds": steps.busy_ns / 1e9,
        "peak_running": steps.peak_running,
        "peak_waiting": steps.peak_waiting,
        "peak_kv_usage": steps.peak_kv_usage,
    }
    return summary


def _latency(name: str, samples: Samples) -> dict[str, float]:
    median, *others = samples.percentiles()
    return {
        f"mean_{name}_ms": samples.mean() / 1e6,
        f"median_{name}_ms": median / 1e6,
        f"std_{name}_ms": samples.std() / 1e6,
        **{
            f"p{percent}_{name}_ms": value / 1e6
            for percent, value in zip(PERCENTILES[1:], others, strict=True)
        },
    }


def _rate(count: float, over: float) -> float:
    return count / over if over else 0.0
