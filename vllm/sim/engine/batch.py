"""The one place that reads what the scheduler decided.

A ``SchedulerOutput`` is translated once a step into ``ScheduledRequest`` records,
and into the output positions that the step samples.
"""

from __future__ import annotations

from typing import NamedTuple

from vllm.v1.core.sched.output import NewRequestData, SchedulerOutput

from ..records import ScheduledRequest


class Sampled(NamedTuple):
    """A request that yields a token in this step, and where in its output."""

    request_id: str
    position: int  # 0-based, in the output


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
        self._known_preempted: set[str] = set()

    def read(self, output: SchedulerOutput) -> Batch:
        """Translate one step.

        Positions follow from the scheduler's own counts (computed tokens, and
        output tokens including those still in flight), so they are right after a
        preemption too.
        """
        for request_id in output.finished_req_ids:
            self._prompt_tokens.pop(request_id, None)
        batch = Batch([], [], [], sorted(output.preempted_req_ids or ()))
        for new in output.scheduled_new_reqs:
            prompt_tokens = new.prompt_len
            # Model runner V2 sends a resumed request as a new one, with all its tokens.
            resumed = new.req_id in self._prompt_tokens
            known = prompt_tokens
            if new.prefill_token_ids is not None:
                known = len(new.prefill_token_ids)
            if not resumed:
                self._prompt_tokens[new.req_id] = prompt_tokens
                batch.admitted.append(new)
            self._add(
                batch, output, new.req_id, new.num_computed_tokens, known - prompt_tokens,
                cached_tokens=0 if resumed else new.num_computed_tokens,
            )  # fmt: skip
        cached = output.scheduled_cached_reqs
        for request_id, computed, outputs in zip(
            cached.req_ids, cached.num_computed_tokens, cached.num_output_tokens, strict=True
        ):
            self._add(batch, output, request_id, computed, outputs)
        return batch

    def _add(
        self,
        batch: Batch,
        output: SchedulerOutput,
        request_id: str,
        computed: int,
        outputs: int,
        cached_tokens: int = 0,
    ) -> None:
        new_tokens = output.num_scheduled_tokens[request_id]
        known = self._prompt_tokens[request_id] + outputs
        samples = computed + new_tokens >= known
        batch.requests.append(
            ScheduledRequest(
                id=request_id,
                new_tokens=new_tokens,
                computed_tokens=computed,
                phase="decode" if outputs and computed >= known - 1 else "prefill",
                cached_tokens=cached_tokens,
                samples=samples,
            )
        )
        if samples:
            batch.sampled.append(Sampled(request_id, outputs))
