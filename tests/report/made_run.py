"""A run made by rules, with everything that a page can show: queues, chunks, preemptions, hits."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from vllm.sim.metrics.folder import RunFolder
from vllm.sim.records import RequestRecord, ScheduledRequest, StepRecord

MS = 1_000_000


def write_made_run(path: Path, requests: int = 8, slower: int = 1) -> Path:
    """Requests that come 15 ms apart, are prefilled in two chunks and decode 20 tokens each.

    Every third one is preempted after its fifth token. The last one's record has an id that
    no page may take for markup.
    """
    folder = RunFolder(path)
    lives = [_script(number) for number in range(requests)]
    now, number = 0, 0
    times: dict[int, list[int]] = {one: [] for one in range(requests)}
    first: dict[int, int] = {}
    while any(lives):
        here = [one for one in range(requests) if lives[one] and one * 15 * MS <= now]
        if not here:
            now += MS
            continue
        scheduled, preempted = [], []
        for one in here:
            kind, tokens, computed, samples = lives[one].pop(0)
            if kind == "preempted":
                preempted.append(name_of(one, requests))
                continue
            cached = 32 if one % 2 and one not in first else 0
            first.setdefault(one, now)
            scheduled.append(
                ScheduledRequest(name_of(one, requests), tokens, computed, kind, cached, samples)
            )
            if samples:
                times[one].append(now + 5 * slower * MS)
        used = 4 * len(here)
        folder.add_step(
            StepRecord(
                number, now, 5 * slower * MS, scheduled, len(scheduled), len(preempted), preempted,
                [], 40 - used, used, sum(each.cached_tokens for each in scheduled),
                in_domain=number % 10 != 9,
            )
        )  # fmt: skip
        now, number = now + 5 * slower * MS, number + 1
    for one, at in times.items():
        folder.add_request(
            RequestRecord(
                name_of(one, requests), one * 15 * MS, 64, len(at), 32 * (one % 2),
                int(one % 3 == 2),
                "length", first[one], at[0], at[-1],
                [after - before for before, after in pairwise(at)],
            )
        )  # fmt: skip
    folder.finish(
        True, model_id="made </script><b>model", latency=f"{5 * slower} ms a step",
        max_concurrency=None, simulated_seconds=now / 1e9, wall_seconds=0.0,
    )  # fmt: skip
    return path


def name_of(one: int, requests: int) -> str:
    return "<b>&" if one == requests - 1 else f"r{one}"


def _script(number: int) -> list[tuple[str, int, int, bool]]:
    """``(phase, new tokens, computed tokens, samples)`` a step."""
    cached = 32 if number % 2 else 0
    steps = [("prefill", 16, cached, False), ("prefill", 48 - cached, cached + 16, True)]
    for token in range(19):
        if token == 5 and number % 3 == 2:
            steps += [("preempted", 0, 0, False), ("prefill", 64 + token, 0, True)]
        else:
            steps.append(("decode", 1, 64 + token, True))
    return steps
