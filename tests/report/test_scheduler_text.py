"""``--sim-debug-scheduler``: the block of lines of a step."""

from __future__ import annotations

from vllm.sim.records import ScheduledRequest, StepRecord
from vllm.sim.report.scheduler_text import step_lines


def test_a_mixed_step() -> None:
    step = StepRecord(
        4, 12_500_000, 6_250_000,
        [
            ScheduledRequest("r0", 1, 41, "decode"),
            ScheduledRequest("r12", 255, 64, "prefill", cached_tokens=64, samples=False),
        ],
        running=2, waiting=3, preempted=["r5"], finished=["r1"], free_blocks=7, used_blocks=93,
        cached_tokens=64, in_domain=False,
    )  # fmt: skip
    assert step_lines(step) == [
        "step 4: 256 tokens of 2 requests (1 prefill, 1 decode), at 12.500 ms for 6.250 ms, "
        "outside the latency model's domain",
        "  running 2, waiting 3, preempted 1; KV blocks 7 free of 100",
        "  decode   r0   token 41",
        "  prefill  r12  tokens 64..318, 64 before it from the prefix cache, more to come",
        "  preempted  r5: blocks taken, computed again later",
        "  finished   r1: blocks given back before this step",
    ]
