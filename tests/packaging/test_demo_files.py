"""The files in traces/ are what make_demo.py makes, and hold text that survives its tokenizer."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

TRACES = Path(__file__).parents[2] / "traces"
TOKENIZER = Tokenizer.from_file(str(TRACES / "demo-model" / "tokenizer.json"))


def rows(name: str) -> list[dict]:
    lines = (TRACES / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[1:]]  # the first line is a header


def test_are_what_make_demo_makes(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, str(TRACES / "make_demo.py"), str(tmp_path)], check=True, timeout=120
    )
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.json*")}
    assert made == {path: (TRACES / path).read_bytes() for path in made}
    assert len(made) == 6


@settings(deadline=None)  # the first example pays for loading
@given(st.text())
def test_any_text_survives_the_tokenizer(text: str) -> None:
    ids = TOKENIZER.encode(text, add_special_tokens=False).ids
    assert TOKENIZER.decode(ids, skip_special_tokens=False) == text


@pytest.mark.parametrize("name", ["demo.jsonl", "sessions.jsonl"])
def test_answers_survive_the_tokenizer(name: str) -> None:
    for row in rows(name):
        ids = TOKENIZER.encode(row["response"], add_special_tokens=False).ids
        assert TOKENIZER.decode(ids, skip_special_tokens=True) == row["response"]


def test_some_emoji_are_split_over_tokens() -> None:
    ids = TOKENIZER.encode("🛶", add_special_tokens=False).ids
    assert len(ids) > 1


def test_a_turn_holds_the_history_and_comes_after_the_turn_before() -> None:
    sessions: dict[str, list[dict]] = {}
    for row in rows("sessions.jsonl"):
        sessions.setdefault(row["session_id"], []).append(row)
    assert len(sessions) == 12
    for turns in sessions.values():
        assert [turn["turn"] for turn in turns] == list(range(1, len(turns) + 1))
        for before, after in pairwise(turns):
            answer = {"role": "assistant", "content": before["response"]}
            assert after["messages"][:-1] == [*before["messages"], answer]
            assert after["timestamp"] > before["timestamp"] + after["think_time"]
