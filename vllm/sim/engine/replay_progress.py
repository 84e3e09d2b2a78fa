"""How far a run is, for someone who watches the terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tqdm import tqdm

from ..clock import NS_PER_S, Clock
from ..records import RequestRecord, StepRecord
from .replay import Live

_EVERY_S = 0.2


class Progress:
    """A bar on stderr, if that is a terminal.

    Attributes:
        step: The newest step, to be set by whoever sees it.
    """

    def __init__(self, what: str, requests: int, clock: Clock) -> None:
        self.step: StepRecord | None = None
        self._clock = clock
        # disable=None is tqdm's word for "unless stderr is a terminal".
        self._bar = tqdm(total=requests, desc=what, unit="req", disable=None, leave=False)
        self._started_s = self._shown_s = time.monotonic()
        self._done = 0

    def turn(self, now_ns: int) -> None:
        if self._bar.disable:
            return
        now_s = time.monotonic()
        if now_s - self._shown_s < _EVERY_S:
            return
        self._shown_s = now_s
        self._bar.update(self._done - self._bar.n)
        simulated_s, wall_s = now_ns / NS_PER_S, now_s - self._started_s
        text = f"time {simulated_s:.1f} s in {wall_s:.1f} s"
        if (step := self.step) is not None:
            blocks = step.used_blocks + step.free_blocks
            usage = step.used_blocks / blocks if blocks else 0.0
            text += f", {step.running} running, {step.waiting} waiting, KV {usage:.0%}"
        self._bar.set_postfix_str(text)

    def sent(self, request_id: str, live: Live) -> None:
        pass

    def ended(self, live: Live, record: RequestRecord, token_ids: Sequence[int]) -> None:
        self._done += 1

    def close(self) -> None:
        self._bar.close()
