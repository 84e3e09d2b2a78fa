"""A run's summary for the terminal, laid out as ``vllm bench serve`` does."""

from __future__ import annotations

from typing import Any

_WIDTH = 50
_LATENCIES = (
    ("ttft", "TTFT", "Time to First Token"),
    ("tpot", "TPOT", "Time per Output Token (excl. 1st token)"),
    ("itl", "ITL", "Inter-token Latency"),
    ("e2el", "E2EL", "End-to-end Latency"),
)


def summary_table(summary: dict[str, Any], title: str) -> str:
    """The table.

    Args:
        summary: As ``summary.json`` has it.
        title: For the first line.
    """
    lines = [_rule(title, "=")]
    if not summary["complete"]:
        lines.append("INTERRUPTED: this is what was done until then")
    lines += [
        _count("Successful requests:", summary["completed"]),
        _count("Failed requests:", summary["failed"]),
    ]
    for key in ("refused", "unfinished"):
        if summary[key]:
            lines.append(_count(f"  {key}:", summary[key]))
    if summary["max_concurrency"] is not None:
        lines.append(_count("Maximum request concurrency:", summary["max_concurrency"]))
    lines += [
        _number("Benchmark duration (s):", summary["duration"]),
        _count("Total input tokens:", summary["total_input_tokens"]),
        _count("Total generated tokens:", summary["total_output_tokens"]),
        _number("Request throughput (req/s):", summary["request_throughput"]),
        _number("Output token throughput (tok/s):", summary["output_throughput"]),
        _number("Peak output token throughput (tok/s):", summary["max_output_tokens_per_s"]),
        _number("Peak concurrent requests:", summary["max_concurrent_requests"]),
        _number("Total token throughput (tok/s):", summary["total_token_throughput"]),
    ]
    for key, short, long in _LATENCIES:
        lines.append(_rule(long, "-"))
        for percent in ("mean", "median", "p90", "p99"):
            name = percent.capitalize()
            lines.append(_number(f"{name} {short} (ms):", summary[f"{percent}_{key}_ms"]))
    lines += [
        _rule("Engine", "-"),
        _count("Steps:", summary["steps"]),
        _count("Preemptions:", summary["preemptions"]),
        _percent("Prefix cache hit rate (%):", summary["prefix_cache_hit_rate"]),
        _percent("Peak KV cache usage (%):", summary["peak_kv_usage"]),
        _percent("Steps in the latency model's domain (%):", summary["in_domain_share"]),
        _number("Simulated time (s):", summary["simulated_seconds"]),
        _number("Wall time (s):", summary["wall_seconds"]),
        "=" * _WIDTH,
    ]
    return "\n".join(lines)


def _rule(title: str, character: str) -> str:
    return f"{f' {title} ' if character == '=' else title:{character}^{_WIDTH}}"


def _count(label: str, value: int) -> str:
    return f"{label:<40} {value:<10}"


def _number(label: str, value: float) -> str:
    return f"{label:<40} {value:<10.2f}"


def _percent(label: str, share: float) -> str:
    return _number(label, 100 * share)
