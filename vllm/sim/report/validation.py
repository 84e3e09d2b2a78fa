"""A simulated run held against the recorded one: the same figures side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_LATENCIES = (("ttft", "TTFT"), ("tpot", "TPOT"), ("itl", "ITL"), ("e2el", "E2EL"))
_STATISTICS = (("mean", "mean"), ("median", "p50"), ("p90", "p90"), ("p99", "p99"))


@dataclass(frozen=True)
class Comparison:
    """One figure of both runs.

    Attributes:
        key: Its name in ``summary.json``.
        label: Its name for people.
        relative: Whether its error is a part of the real value; else it is a difference.
    """

    key: str
    label: str
    real: float
    simulated: float
    relative: bool = True

    @property
    def error(self) -> float | None:
        """Signed, simulated less real; None where a relative error has nothing to relate to."""
        if not self.relative:
            return self.simulated - self.real
        return (self.simulated - self.real) / self.real if self.real else None


def compare(real: Mapping[str, Any], simulated: Mapping[str, Any]) -> list[Comparison]:
    """Two summaries, figure by figure."""

    def figure(key: str, label: str, relative: bool = True) -> Comparison:
        return Comparison(key, label, real[key], simulated[key], relative)

    figures = [
        figure(f"{statistic}_{name}_ms", f"{label} {short} (ms)")
        for name, label in _LATENCIES
        for statistic, short in _STATISTICS
    ]
    return [
        *figures,
        figure("request_throughput", "requests/s"),
        figure("output_throughput", "output tokens/s"),
        figure("busy_seconds", "time in steps (s)"),
        figure("steps", "steps"),
        figure("completed", "completed requests", relative=False),
        figure("preemptions", "preemptions", relative=False),
        figure("prefix_cache_hit_rate", "prefix cache hit rate", relative=False),
    ]


def comparison_table(figures: list[Comparison]) -> str:
    """For the terminal."""
    lines = [f"{'':<24}{'real':>12}{'simulated':>12}{'error':>11}", "-" * 59]
    for one in figures:
        lines.append(f"{one.label:<24}{_number(one.real)}{_number(one.simulated)}{_error(one)}")
    return "\n".join(lines)


def comparison_json(figures: list[Comparison], **facts: Any) -> dict[str, Any]:
    """For programs. Relative errors are parts of 1."""
    return {
        **facts,
        "figures": {
            one.key: {
                "real": one.real,
                "simulated": one.simulated,
                "error": one.error,
                "relative": one.relative,
            }
            for one in figures
        },
    }


def _number(value: float) -> str:
    return f"{value:>12}" if isinstance(value, int) else f"{value:>12.3f}"


def _error(one: Comparison) -> str:
    if one.error is None:
        return f"{'-':>11}"
    if one.relative:
        return f"{100 * one.error:>+9.2f} %"
    return f"{one.error:>+11}" if isinstance(one.error, int) else f"{one.error:>+11.4f}"
