"""The simulator's executor in virtual time, for tests that look at times."""

from __future__ import annotations

from vllm.sim.clock import VirtualClock
from vllm.sim.engine.executor import SimExecutor


class VirtualTimeExecutor(SimExecutor):
    """Given as ``distributed_executor_backend``. Waiting costs nothing."""

    def _make_clock(self) -> VirtualClock:
        return VirtualClock()
