"""What the engine counts, where the front end can read it for ``/metrics``.

The engine core runs in a process of its own, which serves no metrics. It writes a few
numbers into a small file that both map into memory; reading costs the engine nothing.
"""

from __future__ import annotations

import mmap
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from vllm.config import VllmConfig

from ..clock import NS_PER_S

_FORMAT = struct.Struct("<5q")


class EngineCounters:
    """Counters of one engine core: written by it, read by the front end.

    ``lag_ns`` is how late the last step's result was handed over, because the host
    was slower than the simulated device; ``max_lag_ns`` the worst so far.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("w+b") as file:
            file.write(bytes(_FORMAT.size))
            file.flush()
            self._memory = mmap.mmap(file.fileno(), _FORMAT.size)
        self.steps = self.outside_steps = self.repaired_tokens = 0
        self.lag_ns = self.max_lag_ns = 0

    def publish(self) -> None:
        _FORMAT.pack_into(
            self._memory, 0, self.steps, self.outside_steps, self.repaired_tokens,
            self.lag_ns, self.max_lag_ns,
        )  # fmt: skip

    def close(self) -> None:
        if not self._memory.closed:
            self._memory.close()
            self._path.unlink(missing_ok=True)


def counters_path(config: VllmConfig, engine: int) -> Path:
    """The file of one engine core; ``engine`` is its data-parallel index."""
    return Path(tempfile.gettempdir()) / f"vllm-sim-{config.instance_id}-{engine}.counters"


class CountersCollector(Collector):
    """Reads the counters of the engines of this process's front ends, when asked."""

    def __init__(self) -> None:
        self._paths: list[tuple[str, Path]] = []  # engine label, file

    def add(self, config: VllmConfig) -> None:
        for engine in range(config.parallel_config.data_parallel_size):
            self._paths.append((str(engine), counters_path(config, engine)))

    def collect(self) -> Iterator[Metric]:
        steps = CounterMetricFamily("sim:steps", "Engine steps.", labels=["engine"])
        outside = CounterMetricFamily(
            "sim:steps_outside_domain",
            "Engine steps that the latency model had not seen the like of.",
            labels=["engine"],
        )
        repaired = CounterMetricFamily(
            "sim:repaired_tokens",
            "Tokens that a grammar made different from the trace.",
            labels=["engine"],
        )
        lag = GaugeMetricFamily(
            "sim:lag_seconds",
            "How late the last step was handed over, the host being slower than the device.",
            labels=["engine"],
        )
        max_lag = GaugeMetricFamily(
            "sim:max_lag_seconds", "The largest sim:lag_seconds so far.", labels=["engine"]
        )
        for engine, path in self._paths:
            try:
                values = _FORMAT.unpack(path.read_bytes())
            except FileNotFoundError:
                continue  # an engine on another machine, or one that has ended
            steps.add_metric([engine], values[0])
            outside.add_metric([engine], values[1])
            repaired.add_metric([engine], values[2])
            lag.add_metric([engine], values[3] / NS_PER_S)
            max_lag.add_metric([engine], values[4] / NS_PER_S)
        yield from (steps, outside, repaired, lag, max_lag)


_collector: CountersCollector | None = None


def export_counters(config: VllmConfig) -> None:
    """Show an engine's counters in this process's ``/metrics``."""
    global _collector
    if _collector is None:
        _collector = CountersCollector()
        REGISTRY.register(_collector)
    _collector.add(config)
