"""``vllm serve --sim-record DIR``: the traffic of a server as a trace, with its steps measured.

The recorder sits in the engine's process and looks at the engine core: requests as they
are added, steps as they are scheduled and done, tokens as they are given out. A request
arrives when the API server has taken it in, and has its tokens when the engine has given
them out; HTTP is not in the numbers.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vllm.v1.engine import EngineCoreOutputs
from vllm.v1.engine.core import EngineCore
from vllm.v1.request import Request

from ..clock import NS_PER_S
from ..config import RECORD_ENV
from ..metrics.folder import MEASURED, RunFolder
from ..records import FinishReason as RecordedReason
from ..records import StepRecord
from ..trace.schema import TraceRow
from ..workload.client import Sending
from .offline import config_facts
from .recorder import StepMeter
from .recorder_config import header_of
from .recorder_trace import TraceRecorder
from .replay import REASONS, Live

logger = logging.getLogger("vllm.sim.record")

_CHECKPOINT_S = 1.0


def record_core(core: EngineCore) -> None:
    """Record an engine core from its first step on, into the folder that was asked for."""
    rank = core.vllm_config.parallel_config.data_parallel_rank
    folder = Path(os.environ[RECORD_ENV])
    ServerRecorder(core, folder / f"dp{rank}" if rank else folder).attach()


class ServerRecorder:
    """Records one engine core until it shuts down.

    Args:
        core: With its first requests in it, and no step done.
        folder: As of ``vllm sim record``.
    """

    def __init__(self, core: EngineCore, folder: Path) -> None:
        self._core, self._folder = core, RunFolder(folder)
        self._trace = TraceRecorder(folder, header_of(core.vllm_config))
        self._meter = StepMeter(core, self._scheduled, self._folder.add_step)
        self._live: dict[str, Live] = {}
        self._tokens: dict[str, list[int]] = {}
        self._unscheduled: set[str] = set()
        self._number = self._last_arrival_ns = 0
        self._checkpoint_s = time.monotonic()
        waiting: Iterable[Request] = list(core.scheduler.requests.values())
        # Time begins with the first request; requests carry the wall clock's time.
        self._start_s = min((request.arrival_time for request in waiting), default=time.time())
        self._offset_ns = time.monotonic_ns() - round((time.time() - self._start_s) * NS_PER_S)
        for request in waiting:
            self._add(request)

    def attach(self) -> None:
        """Exchange attributes of this one engine core for such that look on."""
        core: Any = self._core
        self._meter.attach()
        add, step, shutdown = core.add_request, core.step_fn, core.shutdown

        def watched_add(request: Request, *args: Any, **kwargs: Any) -> None:
            self._add(request)
            add(request, *args, **kwargs)

        def watched_step() -> Any:
            self._meter.turn(self._now_ns())
            outputs = step()
            self._after_step(outputs[0])
            return outputs

        def watched_shutdown() -> None:
            self.close()
            shutdown()

        core.add_request, core.step_fn, core.shutdown = watched_add, watched_step, watched_shutdown
        logger.info("recording to %s", self._folder.path)

    def close(self) -> None:
        """Write what is left, once."""
        for request_id in list(self._live):
            self._end(request_id, "unfinished", None)
        self._trace.close()
        self._folder.finish(True, **self._facts())

    def _now_ns(self) -> int:
        return time.monotonic_ns() - self._offset_ns

    def _add(self, request: Request) -> None:
        arrival_ns = round((request.arrival_time - self._start_s) * NS_PER_S)
        # Several API servers may deliver out of order by a hair; a trace is in order.
        arrival_ns = self._last_arrival_ns = max(arrival_ns, self._last_arrival_ns)
        row = TraceRow(max_tokens=request.max_tokens, priority=request.priority or None)
        sending = Sending(self._number, 0, row, arrival_ns)
        self._number += 1
        live = self._live[request.request_id] = Live(sending, request.prompt_token_ids or [])
        self._tokens[request.request_id] = []
        self._unscheduled.add(request.request_id)
        self._trace.sent(request.request_id, live)

    def _scheduled(self, record: StepRecord) -> None:
        for request_id in record.preempted:
            if request_id in self._live:  # its last token may have been on its way
                self._live[request_id].preemptions += 1
        for request_id in record.finished:  # and not by a token: the client has left
            if request_id in self._live:
                self._end(request_id, "abort", record.start_ns)
        if self._unscheduled:
            for request in record.requests:
                if request.id in self._unscheduled:
                    self._unscheduled.remove(request.id)
                    self._live[request.id].first_scheduled_ns = record.start_ns

    def _after_step(self, outputs: dict[int, EngineCoreOutputs] | None) -> None:
        now_ns = self._now_ns()
        for of_client in (outputs or {}).values():
            for output in of_client.outputs:
                live = self._live.get(output.request_id)
                if live is None:
                    continue
                if output.new_token_ids:
                    live.delivered_ns.append(now_ns)
                    live.output_tokens += len(output.new_token_ids)
                    self._tokens[output.request_id] += output.new_token_ids
                if output.prefill_stats is not None:
                    live.cached_tokens = output.prefill_stats.num_cached_tokens
                if output.finish_reason is not None:
                    self._end(output.request_id, REASONS[output.finish_reason], now_ns)
        if not self._core.scheduler.has_requests() and not self._core.batch_queue:
            self._meter.turn(now_ns)
            if time.monotonic() - self._checkpoint_s > _CHECKPOINT_S:
                self._checkpoint_s = time.monotonic()
                self._trace.flush()
                self._folder.checkpoint(False, **self._facts())

    def _end(self, request_id: str, reason: RecordedReason, end_ns: int | None) -> None:
        live = self._live.pop(request_id)
        self._unscheduled.discard(request_id)
        record = live.record(request_id, reason, end_ns)
        self._folder.add_request(record)
        self._trace.ended(live, record, self._tokens.pop(request_id))

    def _facts(self) -> dict[str, Any]:
        return {
            **config_facts(self._core.vllm_config),
            "num_prompts": self._number,
            "max_concurrency": None,
            "latency": MEASURED,
            "simulated_seconds": self._now_ns() / NS_PER_S,
            "wall_seconds": self._now_ns() / NS_PER_S,
        }
