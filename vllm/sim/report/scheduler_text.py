"""A step as a readable block of lines, for ``--sim-debug-scheduler``."""

from __future__ import annotations

from ..records import ScheduledRequest, StepRecord


def step_lines(step: StepRecord) -> list[str]:
    """A headline, the queues and blocks, then a line for each scheduled request."""
    composition = step.composition()
    tokens = sum(request.new_tokens for request in step.requests)
    lines = [
        f"step {step.step}: {tokens} tokens of {len(step.requests)} requests "
        f"({composition.prefills} prefill, {composition.decodes} decode), "
        f"at {step.start_ns / 1e6:.3f} ms for {step.duration_ns / 1e6:.3f} ms"
        + ("" if step.in_domain else ", outside the latency model's domain"),
        f"  running {step.running}, waiting {step.waiting}, "
        f"preempted {len(step.preempted)}; "
        f"KV blocks {step.free_blocks} free of {step.free_blocks + step.used_blocks}",
    ]
    width = max((len(request.id) for request in step.requests), default=0)
    lines += [_request_line(request, width) for request in step.requests]
    if step.preempted:
        lines.append(
            f"  preempted  {', '.join(step.preempted)}: blocks taken, computed again later"
        )
    if step.finished:
        lines.append(f"  finished   {', '.join(step.finished)}: blocks given back before this step")
    return lines


def _request_line(request: ScheduledRequest, width: int) -> str:
    """``prefill  r7   tokens 512..1023 of its sequence``: positions, both ends included."""
    first, after = request.computed_tokens, request.computed_tokens + request.new_tokens
    place = f"token {first}" if request.new_tokens == 1 else f"tokens {first}..{after - 1}"
    note = f", {request.cached_tokens} before it from the prefix cache"
    return (
        f"  {request.phase:<7}  {request.id:<{width}}  {place}"
        + (note if request.cached_tokens else "")
        + ("" if request.samples else ", more to come")
    )
