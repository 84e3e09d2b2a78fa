"""A step as a readable block of lines, for ``--sim-debug-scheduler``."""

from __future__ import annotations

from ..records import StepRecord


def step_lines(step: StepRecord) -> list[str]:
    """One headline, then a line for each scheduled request."""
    lines = [
        f"step {step.step}  at {step.start_ns / 1e6:.3f} ms for {step.duration_ns / 1e6:.3f} ms  "
        f"running {step.running}  waiting {step.waiting}  "
        f"KV blocks {step.used_blocks} used, {step.free_blocks} free"
    ]
    for request in step.requests:
        note = f"  {request.cached_tokens} cached" if request.cached_tokens else ""
        if not request.samples:
            note += "  (more to come)"
        lines.append(
            f"  {request.phase:<7}  {request.id}  "
            f"{request.computed_tokens}+{request.new_tokens} tokens{note}"
        )
    if step.preempted:
        lines.append(f"  preempted  {', '.join(step.preempted)}")
    if step.finished:
        lines.append(f"  finished   {', '.join(step.finished)}")
    return lines
