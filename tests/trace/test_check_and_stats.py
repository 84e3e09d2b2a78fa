"""What ``trace check`` and ``trace stats`` find, and how they say it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.paths import DEMO_MODEL, shared_data
from support.traces import write_trace

from vllm.sim.cli.main import main


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["trace", *map(str, arguments)])
    return code, *capsys.readouterr()


def as_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict:
    code, out, err = run(capsys, *arguments, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    rows = [
        {"prompt": "One two three four.", "response": "Five.", "timestamp": t, "session_id": s,
         "turn": n, "think_time": 2.0}
        for t, s, n in ((0.0, "a", 1), (1.0, "b", 1), (4.0, "a", 2))
    ]  # fmt: skip
    rows[2]["response"] = "Six."
    return write_trace(tmp_path / "talk.jsonl", rows)


def test_check_counts(talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = as_json(capsys, "check", talk)
    assert (found["rows"], found["sessions"], found["timestamps"]) == (3, 2, 3)
    assert found["prompts"] == {"prompt": 3}
    assert found["tokens_unknown"] == 3
    assert found["duplicates"] == {
        "rows": 2, "other_answer": 1, "first_row": 2, "first_repeats": 1,
    }  # fmt: skip


def test_check_counts_tokens_with_a_tokenizer(
    talk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoTokenizer

    found = as_json(capsys, "check", talk, "--tokenizer", DEMO_MODEL)
    theirs = AutoTokenizer.from_pretrained(DEMO_MODEL)
    assert found["input_tokens"]["max"] == len(theirs("One two three four.").input_ids)
    assert found["tokens_unknown"] == 0


def test_messages_are_counted_as_the_chat_template_renders_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoTokenizer

    messages = [{"role": "user", "content": "Is it cold?"}]
    path = write_trace(tmp_path / "x.jsonl", [{"messages": messages, "response": "Yes."}])
    found = as_json(capsys, "check", path, "--tokenizer", DEMO_MODEL)
    tokenizer = AutoTokenizer.from_pretrained(DEMO_MODEL)
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
    assert found["input_tokens"]["max"] == len(ids)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"input_length": 20, "hash_ids": [1, 2]}, "block_size"),
        ({"input_length": 20, "hash_ids": [1, 2, 3], "block_size": 16}, "do not fit"),
        ({"input_length": 20, "hash_ids": [2**64], "block_size": 16}, "64 bits"),
        ({"input_length": 0}, "at least 1"),
    ],
)
def test_check_refuses_ids_that_do_not_cover_the_prompt(
    row: dict, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_trace(tmp_path / "x.jsonl", [{"output_length": 1, **row}])
    code, out, err = run(capsys, "check", path, "--from", "vllm-sim")
    assert (code, out) == (2, "")
    assert said in err and "line 1" in err and err.count("\n") == 1


def test_the_headers_block_size_holds_for_all_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"input_length": 20, "output_length": 1, "hash_ids": ids} for ids in ([1, 2], [1, 3])]
    path = write_trace(tmp_path / "x.jsonl", [{"vllm_sim_trace": 1, "block_size": 16}, *rows])
    assert run(capsys, "check", path)[0] == 0
    assert as_json(capsys, "stats", path)["reuse"]["hit_tokens"] == 16


def test_stats_of_arrivals_and_turns(talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = as_json(capsys, "stats", talk)
    assert found["arrivals"] == {"requests": 3, "span_s": 4.0, "rate": 0.5, "cv": 0.5}
    assert (found["turns"]["sessions"], found["turns"]["mean"]) == (2, 1.5)
    assert found["turns"]["think_time_s"]["mean"] == 2.0
    assert found["reuse"] is None


def test_stats_measure_the_reuse_of_text(talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("stats", talk, "--tokenizer", DEMO_MODEL, "--block-size", 4)
    found = as_json(capsys, *arguments)
    length = found["input_tokens"]["max"]
    assert found["reuse"]["hit_tokens"] == 2 * (length // 4 * 4)


def test_one_row_has_no_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_trace(tmp_path / "x.jsonl", [{"prompt": "a", "response": "b", "timestamp": 7}])
    assert as_json(capsys, "stats", path)["arrivals"] == {
        "requests": 1, "span_s": 0.0, "rate": None, "cv": None,
    }  # fmt: skip
    assert "span 0 s\n" in run(capsys, "stats", path)[1]


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_the_picture(
    ending: str, talk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / f"x.{ending}"
    assert run(capsys, "stats", talk, "--plot", picture)[0] == 0
    assert picture.stat().st_size > 10_000
    code, _, err = run(capsys, "stats", talk, "--plot", tmp_path / "x.doc")
    assert code == 2 and "--plot" in err


def test_mooncakes_conversation_trace(capsys: pytest.CaptureFixture[str]) -> None:
    path = shared_data("traces", "mooncake", "conversation_trace.jsonl")
    found = as_json(capsys, "stats", path)
    assert found["rows"] == 12_031
    assert round(found["input_tokens"]["mean"]) == 12_035
    assert round(found["output_tokens"]["mean"]) == 343
    assert round(found["arrivals"]["span_s"]) == 3_537
    assert round(found["reuse"]["share"], 3) == 0.374


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check", "missing.jsonl"), "no such file"),
        (("check", "."), "folder"),
        (("stats", "{talk}", "--tokenizer", "nowhere"), "tokenizer.json"),
        (("convert", "{talk}", "--out", "no/folder/x"), "does not exist"),
        (("convert", "{talk}", "--to", "azure", "--out", "x"), "--start-time"),
        (("generate", "--out", "{tmp}"), "--from"),
        (("generate", "--out", "{tmp}", "--from", "{talk}"), "convert"),
        (("generate", "--out", "{tmp}", "--mode", "random", "--from", "x"), "leave --from"),
        (("generate", "--out", "{tmp}", "--mode", "random", "--arrival", "burst"), "--arr"),
        (("generate", "--out", "{tmp}", "--from", "x", "--max-input-tokens", "5"), "--tokenizer"),
    ],
)  # fmt: skip
def test_errors_are_one_line_and_exit_code_2(
    arguments: Sequence[str], said: str, talk: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *(each.format(talk=talk, tmp=tmp_path) for each in arguments))
    assert (code, out) == (2, "")
    assert said in err and err.count("\n") == 1
