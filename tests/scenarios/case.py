"""A scenario read from a page, and an engine's run written in the page's own form.

``README.md`` beside this file explains the form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.script import Abort, Add, Run
from support.watch import Step

_TOKENS_A_STREAM = 40  # a letter is a stream of as many token ids
_FIRST_ID = 300


@dataclass(frozen=True)
class Request:
    """A line of the page's first table."""

    name: str
    arrives: int  # before this step, counted from 1
    prompt: list[int]
    answer: list[int]  # recorded
    limit: int  # max_tokens
    priority: int
    leaves: int | None  # aborted before this step


@dataclass(frozen=True)
class Case:
    """A page."""

    settings: dict[str, Any]  # EngineArgs, and async_scheduling
    requests: list[Request]
    steps: list[list[str]]  # cells of the second table, without its header

    def script(self) -> dict[int, list[Add | Abort]]:
        script: dict[int, list[Add | Abort]] = {}
        for request in self.requests:
            script.setdefault(request.arrives - 1, []).append(
                Add(
                    request.name,
                    request.prompt,
                    {"max_tokens": request.limit},
                    priority=request.priority,
                )
            )
        for request in self.requests:
            if request.leaves is not None:
                script.setdefault(request.leaves - 1, []).append(Abort(request.name))
        return script

    def trace_rows(self) -> list[dict[str, Any]]:
        return [
            {"prompt_token_ids": request.prompt, "response_token_ids": request.answer}
            for request in self.requests
        ]


def read_case(path: Path) -> Case:
    """Read a page: its settings line and its two tables."""
    lines = path.read_text("utf-8").splitlines()
    settings = next(line for line in lines if line.startswith("Engine: "))
    requests, steps = _tables(lines)
    return Case(
        settings={name: _value(value) for name, value in re.findall(r"`(\w+)` (\w+)", settings)},
        requests=[
            Request(
                name=name,
                arrives=int(arrives),
                prompt=_tokens(prompt),
                answer=_tokens(answer),
                limit=int(limit),
                priority=int(priority or 0),
                leaves=int(leaves) if leaves else None,
            )
            for name, arrives, prompt, answer, limit, priority, leaves in requests[1:]
        ],
        steps=steps[1:],
    )


COLUMNS = ("step", "events", "waiting", "running", "computes", "blocks", "free", "gives")


def write_steps(case: Case, run: Run) -> list[list[str]]:
    """A run's steps as cells of the second table."""
    given: dict[str, int] = {}
    rows = []
    for number, step in enumerate(run.steps, start=1):
        events = [f"+{request.name}" for request in case.requests if request.arrives == number]
        events += [f"-{request.name}" for request in case.requests if request.leaves == number]
        events += [f"{name} out" for name in step.preempted]
        gives = []
        for one in step.delivered:
            given[one.id] = given.get(one.id, 0) + len(one.token_ids)
            gives.append(" ".join(filter(None, [one.id, str(given[one.id]), one.finish_reason])))
        rows.append(
            [
                str(number),
                ", ".join(events),
                " ".join(step.waiting),
                " ".join(step.running),
                ", ".join(
                    f"{name} {step.computed[name]}+{tokens} {_phase(step, name)}"
                    for name, tokens in step.scheduled.items()
                ),
                ", ".join(f"{name}: {_ids(group)}" for name, (group,) in step.tables.items()),
                _ids(step.free),
                ", ".join(gives),
            ]
        )
    return rows


def table(rows: Iterable[Sequence[str]]) -> str:
    """Cells as Markdown, aligned."""
    cells = [COLUMNS, *rows]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in cells]
    return "\n".join(
        [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]
    )


def _phase(step: Step, name: str) -> str:
    newest_only = step.outputs[name] > 0 and step.computed[name] == step.known[name] - 1
    return "decode" if newest_only else "prefill"


def _ids(blocks: Iterable[int]) -> str:
    return " ".join(map(str, blocks))


def _tables(lines: list[str]) -> list[list[list[str]]]:
    tables: list[list[list[str]]] = []
    inside = False
    for line in lines:
        if line.startswith("|"):
            if not inside:
                tables.append([])
            if not line.startswith("|-"):
                tables[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        inside = line.startswith("|")
    return tables


def _tokens(text: str) -> list[int]:
    """``a5 b2``: the first five tokens of stream a, then the first two of b."""
    ids: list[int] = []
    for letter, count in re.findall(r"([a-z])(\d+)", text):
        start = _FIRST_ID + (ord(letter) - ord("a")) * _TOKENS_A_STREAM
        assert int(count) <= _TOKENS_A_STREAM
        ids += range(start, start + int(count))
    return ids


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.isdigit() else text
