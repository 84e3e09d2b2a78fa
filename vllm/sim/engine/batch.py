"""The one place that reads what the scheduler decided.

A ``SchedulerOutput`` is translated once a step into ``ScheduledRequest`` records,
and into the output positions that the step samples.
"""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

from vllm.v1.core.sched.output import NewRequestData, SchedulerOutput

from ..records import Phase, ScheduledRequest


class Sampled(NamedTuple):
    """A request that yields tokens in this step, and where in its output."""

    request_id: str
    position: int  # of the first, 0-based, in the output
    tokens: int  # one; more where steps were asked for at once


class Batch(NamedTuple):
    """One step, translated."""

    requests: list[ScheduledRequest]
    sampled: list[Sampled]
    admitted: list[NewRequestData]  # seen for the first time
    preempted: list[str]


class BatchReader:
    """Translates scheduler outputs, in order, keeping each request's prompt length."""

    def __init__(self) -> None:
        self._prompt_tokens: dict[str, int] = {}

    def read(self, output: SchedulerOutput) -> Batch:
        """Translate one step.

        Positions follow from the scheduler's own counts (computed tokens, and
        output tokens including those still in flight), so they are right after a
        preemption too.
        """
        for request_id in output.finished_req_ids:
            self._prompt_tokens.pop(request_id, None)
        batch = Batch([], [], [], sorted(output.preempted_req_ids or ()))
        new = [self._new(batch, request) for request in output.scheduled_new_reqs]
        cached = output.scheduled_cached_reqs
        running = zip(
            cached.req_ids, cached.num_computed_tokens, cached.num_output_tokens, strict=True
        )
        requests, sampled = batch.requests, batch.sampled
        prompts, scheduled = self._prompt_tokens, output.num_scheduled_tokens
        # This loop is much of what a step costs the simulator.
        for request_id, computed, outputs in chain(new, running):
            new_tokens, known = scheduled[request_id], prompts[request_id] + outputs
            tokens = computed + new_tokens - known + 1
            phase: Phase = "decode" if outputs and computed >= known - 1 else "prefill"
            requests.append(
                ScheduledRequest(request_id, new_tokens, computed, phase, 0, tokens > 0)
            )
            if tokens > 0:
                sampled.append(Sampled(request_id, outputs, tokens))
        first_seen = {request.req_id: request.num_computed_tokens for request in batch.admitted}
        for request in requests[: len(new)]:
            request.cached_tokens = first_seen.get(request.id, 0)
        return batch

    def _new(self, batch: Batch, request: NewRequestData) -> tuple[str, int, int]:
        """``(id, computed tokens, output tokens)`` of what the scheduler sends as new."""
        # Model runner V2 sends a resumed request as a new one, with all its tokens.
        if request.req_id not in self._prompt_tokens:
            self._prompt_tokens[request.req_id] = request.prompt_len
            batch.admitted.append(request)
        known = request.prompt_len
        if request.prefill_token_ids is not None:
            known = len(request.prefill_token_ids)
        return request.req_id, request.num_computed_tokens, known - request.prompt_len
