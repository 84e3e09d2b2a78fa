"""Random requests: what a test may draw, and what each request must then get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from support.script import Abort, Add

BLOCK = 4
MAX_MODEL_LEN = 48
MAX_PROMPT = 30
EOS = 2


@dataclass(frozen=True)
class Row:
    """A row of the trace."""

    prompt: list[int]
    answer: list[int]


def _rows() -> list[Row]:
    """Prompts of every length up to MAX_PROMPT in three families, each of which begins alike;
    answers of 1 to 14 tokens, all different."""
    rows = []
    for number in range(3 * MAX_PROMPT):
        length, family = number // 3 + 1, number % 3
        shared = range(300 + 40 * family, 300 + 40 * family + length * 2 // 3)
        own = [600 + (number * 7 + at) % 300 for at in range(length - len(shared))]
        answer = [900 + (number * 3 + at) % 300 for at in range(number * 5 % 14 + 1)]
        rows.append(Row([*shared, *own], answer))
    return rows


ROWS = _rows()


def trace_rows() -> list[dict[str, Any]]:
    return [{"prompt_token_ids": row.prompt, "response_token_ids": row.answer} for row in ROWS]


@dataclass(frozen=True)
class Request:
    """One drawn request."""

    row: int
    arrives: int  # before this step
    limit: int  # max_tokens
    ignore_eos: bool
    min_tokens: int
    priority: int
    leaves_after: int | None  # steps from its arrival to its abort

    def whole_answer(self) -> list[int]:
        """What the rules say it gets, from the row alone.

        The recorded tokens and then the end token, cut by ``max_tokens`` and by the model's
        length. Where an answer may not end yet it is said again from its start.
        """
        row = ROWS[self.row]
        most = min(self.limit, MAX_MODEL_LEN - len(row.prompt))
        said = row.answer * (most // len(row.answer) + 1)
        if not self.ignore_eos:
            said = [*said[: max(len(row.answer), self.min_tokens)], EOS]
        return said[:most]


@st.composite
def requests(draw: st.DrawFn) -> Request:
    limit = draw(st.integers(1, 20))
    return Request(
        row=draw(st.integers(0, len(ROWS) - 1)),
        arrives=draw(st.integers(0, 30)),
        limit=limit,
        ignore_eos=draw(st.booleans()),
        min_tokens=draw(st.just(0) | st.integers(0, limit)),
        priority=draw(st.integers(-1, 1)),
        leaves_after=draw(st.none() | st.none() | st.integers(0, 20)),
    )


def script_of(drawn: Sequence[Request], by_priority: bool) -> dict[int, list[Add | Abort]]:
    script: dict[int, list[Add | Abort]] = {}
    for number, request in enumerate(drawn):
        script.setdefault(request.arrives, []).append(
            Add(
                f"r{number}",
                ROWS[request.row].prompt,
                {
                    "max_tokens": request.limit,
                    "ignore_eos": request.ignore_eos,
                    "min_tokens": request.min_tokens,
                },
                priority=request.priority if by_priority else 0,
            )
        )
    for number, request in enumerate(drawn):
        if request.leaves_after is not None:
            at = request.arrives + request.leaves_after
            script.setdefault(at, []).append(Abort(f"r{number}"))
    return script
