"""Time as an object that is passed in: integer nanoseconds that never run backwards.

``WallClock`` paces a server, ``VirtualClock`` drives an offline replay. Both
start at zero. ``DeviceTimeline`` lays steps on either of them, end to end, as
one device (or one pipeline of stages) would run them.
"""

from __future__ import annotations

import time
from typing import Protocol

from .errors import SettingsError

NS_PER_S = 1_000_000_000


class Clock(Protocol):
    """A source of simulated time."""

    def now_ns(self) -> int:
        """Simulated nanoseconds since the clock was made; never decreases."""

    def wait_until_ns(self, due_ns: int) -> None:
        """Return once ``now_ns() >= due_ns``. A due time in the past is no error."""


class WallClock:
    """Simulated time tied to the wall: ``time_scale`` simulated seconds a real second.

    Due times are absolute, so a late wake-up delays one step's delivery and does
    not add up. ``lag_ns`` is how late the last wait ended; ``max_lag_ns`` the worst.
    """

    def __init__(self, time_scale: float = 1.0) -> None:
        if not time_scale > 0:
            raise SettingsError(f"--sim-time-scale must be above 0, got {time_scale}")
        self._scale = time_scale
        self._start_ns = time.monotonic_ns()
        self.lag_ns = 0
        self.max_lag_ns = 0

    def now_ns(self) -> int:
        return int((time.monotonic_ns() - self._start_ns) * self._scale)

    def wait_until_ns(self, due_ns: int) -> None:
        while (remaining_ns := due_ns - self.now_ns()) > 0:
            time.sleep(remaining_ns / self._scale / NS_PER_S)
        self.lag_ns = -remaining_ns
        self.max_lag_ns = max(self.max_lag_ns, self.lag_ns)


class VirtualClock:
    """Simulated time that jumps: waiting costs nothing."""

    def __init__(self) -> None:
        self._now_ns = 0

    def now_ns(self) -> int:
        return self._now_ns

    def wait_until_ns(self, due_ns: int) -> None:
        self._now_ns = max(self._now_ns, due_ns)


class DeviceTimeline:
    """When each step starts and ends on a device that runs them one after the other.

    With ``stages`` > 1 the device is a pipeline: a step takes its duration in
    equal parts, one a stage, and the next step enters stage 0 as soon as this one
    has left it.
    """

    def __init__(self, stages: int = 1) -> None:
        self._free_at_ns = [0] * stages

    @property
    def free_at_ns(self) -> int:
        """When the first stage is done with all steps so far."""
        return self._free_at_ns[0]

    def submit(self, now_ns: int, duration_ns: int, inputs_at_ns: int = 0) -> tuple[int, int]:
        """Queue a step behind those before it.

        Args:
            now_ns: When the step is handed to the device.
            duration_ns: How long it takes through all stages, >= 0.
            inputs_at_ns: When the tokens that it continues have been sampled. Steps on one
                stage follow each other anyway; in a pipeline a request's next token enters
                the first stage only after its last one has left the last.

        Returns:
            ``(start_ns, end_ns)``; ``start_ns >= now_ns``.
        """
        stages = len(self._free_at_ns)
        start_ns = at_ns = max(now_ns, inputs_at_ns, self._free_at_ns[0])
        for stage in range(stages):
            part_ns = duration_ns * (stage + 1) // stages - duration_ns * stage // stages
            at_ns = max(at_ns, self._free_at_ns[stage]) + part_ns
            self._free_at_ns[stage] = at_ns
        return start_ns, at_ns
