"""What happens to an engine, and before which of its steps: arrivals and aborts as data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .engines import core_of
from .watch import Step, Watcher

_TOO_MANY_STEPS = 20_000


@dataclass
class Answer:
    """What a client has of one answer so far."""

    token_ids: list[int] = field(default_factory=list)
    text: str = ""
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    cached_tokens: int | None = None
    deliveries: list[tuple[int, int]] = field(default_factory=list)  # (call of step, tokens so far)


Answers = Mapping[str, Answer]  # by request id; with n > 1 by "id/0", "id/1", …


@dataclass(frozen=True)
class Add:
    """A request arrives.

    ``prompt`` (token ids) and ``params`` (of ``SamplingParams``) may be functions of the
    answers given so far: a second turn holds the first one's answer.
    """

    id: str
    prompt: Sequence[int] | Callable[[Answers], Sequence[int]]
    params: Mapping[str, Any] | Callable[[Answers], Mapping[str, Any]]
    priority: int = 0
    cache_salt: str | None = None


@dataclass(frozen=True)
class Abort:
    """A client leaves. Without effect on a request that has ended."""

    id: str


Script = Mapping[int, Sequence[Add | Abort]]  # by the number of the call of step() they precede


@dataclass
class Run:
    """What was seen of one script on one engine."""

    steps: list[Step]
    answers: dict[str, Answer]
    prompts: dict[str, list[int]]
    parents: set[str] = field(default_factory=set)  # of several answers each


def drive(engine: Any, script: Script) -> Run:
    """Play a script on an in-process ``LLMEngine`` until nothing is left to do."""
    core = core_of(engine)
    run = Run([], {}, {})
    last_event = max(script, default=-1)
    with Watcher(core.scheduler) as watcher:
        for call in range(_TOO_MANY_STEPS):
            if call > last_event and not core.scheduler.has_requests() and not core.batch_queue:
                run.steps = watcher.steps
                return run
            for event in script.get(call, ()):
                if isinstance(event, Abort):
                    engine.abort_request([event.id])
                else:
                    _add(engine, event, call, run)
            _wait_for_grammars(core.scheduler)
            for output in engine.step():
                _note(run, output, call)
    raise AssertionError(f"the engine is not done after {_TOO_MANY_STEPS} steps")


def events(script: Script) -> Iterator[Add | Abort]:
    for at in sorted(script):
        yield from script[at]


def _add(engine: Any, event: Add, call: int, run: Run) -> None:
    from vllm import SamplingParams

    prompt = list(event.prompt(run.answers) if callable(event.prompt) else event.prompt)
    params = event.params(run.answers) if callable(event.params) else event.params
    run.prompts[event.id] = prompt
    if params.get("n", 1) > 1:
        run.parents.add(event.id)
    engine.add_request(
        event.id,
        {"prompt_token_ids": prompt}
        | ({"cache_salt": event.cache_salt} if event.cache_salt is not None else {}),
        SamplingParams(**{"temperature": 0.0, **params}),
        arrival_time=float(call),
        priority=event.priority,
    )


def _wait_for_grammars(scheduler: Any) -> None:
    """vLLM compiles grammars in a thread and lets their requests wait, for as many steps as
    this machine happens to make meanwhile. Waiting here makes the admitting step a fact."""
    for request in scheduler.waiting:
        if request.structured_output_request is not None:
            while not request.structured_output_request.is_grammar_ready:
                time.sleep(0.001)


def _note(run: Run, output: Any, call: int) -> None:
    for completion in output.outputs:
        name: str = output.request_id
        if name in run.parents:
            name += f"/{completion.index}"
        answer = run.answers.setdefault(name, Answer())
        answer.token_ids = list(completion.token_ids)
        answer.text = completion.text
        answer.finish_reason = completion.finish_reason
        answer.stop_reason = completion.stop_reason
        answer.cached_tokens = output.num_cached_tokens
        answer.deliveries.append((call, len(answer.token_ids)))
