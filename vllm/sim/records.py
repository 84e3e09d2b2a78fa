"""The one contract between the engine and everything else: a step, and a request.

Whatever runs (the simulator, or a real engine that is recorded) writes these;
whatever looks at a run (latency models, metrics, reports) reads these. Times are
integer nanoseconds since the run began. ``docs/records.md`` is the schema.
"""

from __future__ import annotations

from typing import Literal

import msgspec

SCHEMA_VERSION = 1

Phase = Literal["prefill", "decode"]


class ScheduledRequest(msgspec.Struct, gc=False):
    """What one request does in one step.

    A request is in ``prefill`` while it computes tokens that are already known
    (its prompt, or after a preemption its prompt and output), and in ``decode``
    when it computes its newest token only.
    """

    id: str
    new_tokens: int  # computed in this step
    computed_tokens: int  # in the KV cache before this step
    phase: Phase
    cached_tokens: int = 0  # prefix-cache hits; counted in the step that admits the request
    samples: bool = True  # false for a prefill chunk that is not the last


class StepRecord(msgspec.Struct):
    """One engine step: what the scheduler decided, and when the device ran it."""

    step: int
    start_ns: int
    duration_ns: int
    requests: list[ScheduledRequest]
    running: int  # after scheduling
    waiting: int  # after scheduling
    preempted: list[str]  # ids preempted by this step's scheduling
    finished: list[str]  # ids that ended since the step before
    free_blocks: int
    used_blocks: int
    cached_tokens: int  # prefix-cache hits of the requests admitted in this step
    in_domain: bool = True  # whether the latency model had seen such a step

    def composition(self) -> Composition:
        """The sums that step time depends on."""
        prefills = prefill_tokens = prefill_pairs = prefill_cached_tokens = 0
        decodes = decode_kv_tokens = 0
        for request in self.requests:
            new, computed = request.new_tokens, request.computed_tokens
            if request.phase == "decode":
                decodes += 1
                decode_kv_tokens += computed + new
            else:
                prefills += 1
                prefill_tokens += new
                prefill_cached_tokens += computed
                prefill_pairs += new * computed + new * (new + 1) // 2
        return Composition(
            prefills,
            prefill_tokens,
            prefill_cached_tokens,
            prefill_pairs,
            decodes,
            decode_kv_tokens,
        )


class Composition(msgspec.Struct, frozen=True):
    """A step's batch in six numbers.

    ``prefill_pairs`` counts (query, key) pairs of causal attention, summed per
    request: a mean over the batch would overstate the work of mixed batches.
    """

    prefills: int
    prefill_tokens: int
    prefill_cached_tokens: int
    prefill_pairs: int
    decodes: int
    decode_kv_tokens: int


FinishReason = Literal["stop", "length", "abort", "error", "refused", "unfinished"]


class RequestRecord(msgspec.Struct):
    """One request from arrival to end, as its client saw it."""

    id: str
    arrival_ns: int
    prompt_tokens: int
    output_tokens: int
    cached_tokens: int
    preemptions: int
    finish_reason: FinishReason
    first_scheduled_ns: int | None = None
    first_token_ns: int | None = None
    end_ns: int | None = None
    itl_ns: list[int] = msgspec.field(default_factory=list)  # gaps between token deliveries
    trace_line: int | None = None
    session_id: str | None = None
    turn: int | None = None

    @property
    def ttft_ns(self) -> int | None:
        return None if self.first_token_ns is None else self.first_token_ns - self.arrival_ns

    @property
    def e2el_ns(self) -> int | None:
        return None if self.end_ns is None else self.end_ns - self.arrival_ns

    @property
    def tpot_ns(self) -> float | None:
        """Mean time per output token after the first; None with fewer than two."""
        if self.first_token_ns is None or self.end_ns is None or self.output_tokens < 2:
            return None
        return (self.end_ns - self.first_token_ns) / (self.output_tokens - 1)
