"""A run as a trace for the Perfetto UI, in its JSON format.

https://ui.perfetto.dev and ``chrome://tracing`` open it. Times there are microseconds;
three decimals keep every nanosecond.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..errors import SettingsError
from ..records import RequestRecord, StepRecord
from .timeline_lives import Life, Lives

ENGINE, REQUESTS = 1, 2  # process ids, which are only the two groups of tracks
_FIRST_TRACK = 1


def write_perfetto(
    path: Path, steps: Iterable[StepRecord], requests: Iterable[RequestRecord] = ()
) -> int:
    """Write it; returns the number of events.

    Raises:
        SettingsError: It cannot be written there.
    """
    lives = Lives(requests)
    count = 0
    try:
        with path.open("w", encoding="utf-8") as file:
            file.write('{"displayTimeUnit": "ms", "traceEvents": [\n')
            for event in _events(steps, lives):
                file.write(",\n" if count else "")
                file.write(json.dumps(event))
                count += 1
            file.write("\n]}\n")
    except OSError as error:
        raise SettingsError(f"--perfetto {path} cannot be written: {error.strerror}") from None
    return count


def _events(steps: Iterable[StepRecord], lives: Lives) -> Iterator[dict[str, Any]]:
    yield _name("process_name", ENGINE, "engine")
    yield _name("process_name", REQUESTS, "requests")
    free_at_ns: list[int] = []  # of each track of steps: those of a pipeline overlap
    for step in steps:
        lives.add(step)
        track = next((n for n, at in enumerate(free_at_ns) if at <= step.start_ns), None)
        if track is None:
            track = len(free_at_ns)
            free_at_ns.append(0)
            name = "steps" if not track else f"steps ({track + 1})"
            yield _name("thread_name", ENGINE, name, _FIRST_TRACK + track)
        free_at_ns[track] = step.start_ns + step.duration_ns
        yield from _step(step, _FIRST_TRACK + track)
    for number, life in enumerate(lives.all(), start=_FIRST_TRACK):
        yield _name("thread_name", REQUESTS, life.id, number)
        yield {
            "ph": "M", "name": "thread_sort_index", "pid": REQUESTS, "tid": number,
            "args": {"sort_index": number},
        }  # fmt: skip
        yield from _life(life, number)


def _step(step: StepRecord, track: int) -> Iterator[dict[str, Any]]:
    composition = step.composition()
    tokens = sum(request.new_tokens for request in step.requests)
    kinds = (("prefill", composition.prefills), ("decode", composition.decodes))
    yield _slice(
        "+".join(f"{count} {kind}" for kind, count in kinds if count) or "empty",
        ENGINE, track, step.start_ns, step.duration_ns,
        {
            "step": step.step,
            "prefill tokens": composition.prefill_tokens,
            "decode tokens": tokens - composition.prefill_tokens,
            "cached tokens": step.cached_tokens,
            "in domain": step.in_domain,
            **{
                request.id: f"{request.phase} {request.computed_tokens}+{request.new_tokens}"
                for request in step.requests
            },
        },
    )  # fmt: skip
    used = step.used_blocks
    for name, value in (
        ("running", step.running),
        ("waiting", step.waiting),
        ("KV blocks in use", used),
        ("KV blocks free", step.free_blocks),
        ("prefill tokens", composition.prefill_tokens),
        ("decode tokens", tokens - composition.prefill_tokens),
    ):
        yield {
            "ph": "C", "name": name, "pid": ENGINE, "ts": step.start_ns / 1000,
            "args": {"value": value},
        }  # fmt: skip
    for request_id in step.preempted:
        yield {
            "ph": "i", "name": f"preempted {request_id}", "s": "p", "pid": ENGINE, "tid": track,
            "ts": step.start_ns / 1000,
        }  # fmt: skip


def _life(life: Life, track: int) -> Iterator[dict[str, Any]]:
    for span in life.spans:
        steps = {"first step": span.first_step, "last step": span.last_step}
        tokens = {"tokens": span.tokens} if span.tokens else {}
        yield _slice(
            span.state, REQUESTS, track, span.start_ns, span.end_ns - span.start_ns,
            {**steps, **tokens},
        )  # fmt: skip
    if life.record is not None:
        yield {
            "ph": "i", "name": f"finished: {life.record.finish_reason}", "s": "t",
            "pid": REQUESTS, "tid": track, "ts": life.end_ns / 1000,
            "args": {
                "prompt tokens": life.record.prompt_tokens,
                "output tokens": life.record.output_tokens,
                "cached tokens": life.record.cached_tokens,
                "preemptions": life.record.preemptions,
            },
        }  # fmt: skip


def _slice(
    name: str, group: int, track: int, start_ns: int, duration_ns: int, facts: dict[str, Any]
) -> dict[str, Any]:
    return {
        "ph": "X", "name": name, "pid": group, "tid": track,
        "ts": start_ns / 1000, "dur": duration_ns / 1000, "args": facts,
    }  # fmt: skip


def _name(what: str, group: int, name: str, track: int = 0) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": group, "tid": track, "args": {"name": name}}
