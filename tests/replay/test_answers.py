"""How many tokens a row's answer has, and which. No engine."""

from __future__ import annotations

import msgspec
import pytest

from vllm.sim.trace.schema import TraceRow

pytest.importorskip("vllm.v1")
from vllm.sim.engine.replay_answers import RowAnswers

END = 2
ANSWERS = RowAnswers(lambda text: [10 + ord(letter) for letter in text], range(50, 60), END)


def row(**fields: object) -> TraceRow:
    return msgspec.convert({"input_length": 1, **fields}, TraceRow)


def tokens(of: TraceRow, most: int = 100) -> list[int]:
    """What an engine gets that stops at the end token, and at ``max_tokens``."""
    cursor, limit = ANSWERS.cursor(of, 0), ANSWERS.max_tokens(of)
    got: list[int] = []
    for position in range(min(most, limit or most)):
        got.append(cursor.token_at(position))
        if got[-1] == END:
            break
    return got


@pytest.mark.parametrize(
    ("fields", "expected", "limit"),
    [
        # A length is the number of tokens, the end token among them.
        ({"output_length": 4}, [50, 51, 52, END], None),
        ({"output_length": 1}, [END], None),
        ({"output_length": 0}, [END], None),
        ({"output_length": 3, "max_tokens": 3}, [50, 51, 52], 3),
        ({"output_length": 3, "max_tokens": 9}, [50, 51, END], 9),
        ({"output_length": 3, "finish_reason": "length"}, [50, 51, 52], 3),
        ({"output_length": 12}, [*range(50, 60), 50, END], None),
        # Ids are the tokens: without an end token of their own, the last one becomes it.
        ({"response_token_ids": [7, 8, END]}, [7, 8, END], None),
        ({"response_token_ids": [7, 8, 9]}, [7, 8, END], None),
        ({"response_token_ids": [7, 8, 9], "max_tokens": 3}, [7, 8, 9], 3),
        ({"response_token_ids": [7, 8, 9], "max_tokens": 2}, [7, 8], 2),
        ({"response_token_ids": []}, [END], None),
        # An end token inside was none (ignore_eos); the answer went on.
        ({"response_token_ids": [7, END, 9], "max_tokens": 3}, [7, 50, 9], 3),
        # Text does not show its end token.
        ({"response": "ab"}, [107, 108, END], None),
        ({"response": ""}, [END], None),
        ({"response": "ab", "finish_reason": "length"}, [107, 108], 2),
        # A length beside content is the number of tokens.
        ({"response": "ab", "output_length": 5}, [107, 108, 50, 51, END], None),
        ({"response": "abcd", "output_length": 3}, [107, 108, END], None),
    ],
)
def test_tokens(fields: dict[str, object], expected: list[int], limit: int | None) -> None:
    of = row(**fields)
    assert tokens(of) == expected
    assert ANSWERS.length(of) == max(len(expected), 1) or of.max_tokens is not None
    assert ANSWERS.max_tokens(of) == limit


def test_a_length_does_not_show_in_what_the_engine_is_asked() -> None:
    assert ANSWERS.max_tokens(row(output_length=5)) is None
    assert ANSWERS.max_tokens(row(response="abc")) is None
