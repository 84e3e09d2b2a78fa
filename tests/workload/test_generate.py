"""``trace generate``: the client simulator, and traffic without text."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from support.paths import DEMO_MODEL, shared_data

from vllm.sim.cli.main import main
from vllm.sim.trace.check import check_rows
from vllm.sim.trace.formats import ReadOptions, open_rows
from vllm.sim.trace.read import TraceFile
from vllm.sim.trace.schema import TraceRow
from vllm.sim.workload.pieces import Piece, hash_ids

TALKS = [
    [("How deep is the lake?", "Forty metres."), ("And the bay?", "Nine."), ("Now?", "Eight.")],
    [("Is it open?", "From ten.")],
    [("Who built it?", "The town."), ("When?", "In 1902.")],
]


def sharegpt() -> str:
    return json.dumps(
        [
            {"id": f"t{n}", "conversations": [
                {"from": who, "value": text}
                for exchange in talk for who, text in zip(("human", "gpt"), exchange, strict=True)]}
            for n, talk in enumerate(TALKS)
        ]
    )  # fmt: skip


def openai() -> str:
    return "".join(
        json.dumps({"messages": [
            {"role": role, "content": text}
            for exchange in talk
            for role, text in zip(("user", "assistant"), exchange, strict=True)]}) + "\n"
        for talk in TALKS
    )  # fmt: skip


Generate = Callable[..., list[TraceRow]]


@pytest.fixture
def generate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Generate:
    """Runs the verb and reads what it wrote, with ``check`` over it."""

    def run(*arguments: object, source: str | None = None) -> list[TraceRow]:
        if source is not None:
            (tmp_path / "talks.json").write_text(source)
            arguments = ("--from", tmp_path / "talks.json", *arguments)
        out = tmp_path / "out"
        code = main(["trace", "generate", "--out", str(out), *map(str, arguments)])
        assert code == 0, capsys.readouterr().err
        path = max(out.iterdir(), key=lambda file: file.stat().st_mtime_ns)
        form, reader = open_rows(path, "auto", ReadOptions())
        assert form.name == "vllm-sim"
        check_rows(reader, form.name, None)
        return [placed.row for placed in TraceFile(path)]

    return run


@pytest.mark.parametrize("source", [sharegpt(), openai()], ids=["sharegpt", "openai"])
def test_single_turn_is_the_first_exchange(source: str, generate: Generate) -> None:
    rows = generate(source=source)
    assert [(row.prompt, row.response) for row in rows] == [talk[0] for talk in TALKS]
    assert {(row.timestamp, row.session_id) for row in rows} == {(None, None)}


@pytest.mark.parametrize("source", [sharegpt(), openai()], ids=["sharegpt", "openai"])
def test_multi_turn_has_the_whole_history(source: str, generate: Generate) -> None:
    rows = generate("--mode", "multi-turn", source=source)
    assert [row.turn for row in rows] == [1, 2, 3, 1, 1, 2]
    assert [m["content"] for m in rows[2].messages or ()] == [
        "How deep is the lake?", "Forty metres.", "And the bay?", "Nine.", "Now?",
    ]  # fmt: skip
    assert rows[2].response == "Eight."


def test_packed_input_and_output(tmp_path: Path) -> None:
    source = tmp_path / "talks.json.gz"
    source.write_bytes(gzip.compress(sharegpt().encode()))
    assert main(["trace", "generate", "--from", str(source), "--out", str(tmp_path), "--gz"]) == 0
    assert len(list(TraceFile(tmp_path / "single_turn_trace.jsonl.gz"))) == 3


@pytest.mark.parametrize("render", ["plain", "template"])
def test_a_turns_prompt_begins_with_the_turn_before(render: str, generate: Generate) -> None:
    rows = generate(
        "--mode", "multi-turn", "--render", render, "--tokenizer", DEMO_MODEL, source=sharegpt()
    )
    for before, row in pairwise(rows):
        if row.turn != 1:
            assert before.prompt and before.response and row.prompt
            assert row.prompt.startswith(before.prompt + before.response)


def test_closed_loops_have_a_start_and_think_times(generate: Generate) -> None:
    rows = generate(
        "--mode", "multi-turn", "--arrival-rate", 2, "--arrival", "constant",
        "--think-time", 3, source=sharegpt(),
    )  # fmt: skip
    assert [row.timestamp for row in rows] == [0.5, None, None, 1.0, 1.5, None]
    assert [row.think_time for row in rows] == [None, 3.0, 3.0, None, None, 3.0]


def test_absolute_times_are_sorted_over_all_sessions(generate: Generate) -> None:
    rows = generate(
        "--mode", "multi-turn", "--arrival-rate", 2, "--arrival", "constant",
        "--think-time", 0.75, "--turn-times", "timestamps", source=sharegpt(),
    )  # fmt: skip
    assert [(row.timestamp, row.session_id) for row in rows] == [
        (0.5, "t0"), (1.0, "t1"), (1.25, "t0"), (1.5, "t2"), (2.0, "t0"), (2.25, "t2"),
    ]  # fmt: skip
    assert {row.think_time for row in rows} == {None}


@pytest.mark.parametrize(
    ("arguments", "turns"),
    [
        (("--max-conversations", 2), [1, 2, 3, 1]),
        (("--min-turns", 2), [1, 2, 3, 1, 2]),
        (("--max-turns", 2), [1, 2, 1, 1, 2]),
        (("--min-turns", 2, "--max-turns", 2), [1, 2, 1, 2]),
        (("--min-turns", 2, "--max-conversations", 1), [1, 2, 3]),
    ],
)
def test_limits_on_turns(
    arguments: tuple[object, ...], turns: list[int], generate: Generate
) -> None:
    rows = generate("--mode", "multi-turn", *arguments, source=sharegpt())
    assert [row.turn for row in rows] == turns


def test_limits_on_tokens_cut_a_conversation(generate: Generate) -> None:
    whole = generate("--mode", "multi-turn", "--tokenizer", DEMO_MODEL, source=sharegpt())
    longest = max(row.input_length or 0 for row in whole)
    rows = generate(
        "--mode", "multi-turn", "--tokenizer", DEMO_MODEL,
        "--max-input-tokens", longest - 1, source=sharegpt(),
    )  # fmt: skip
    assert len(rows) == len(whole) - 1
    assert all(row.output_length for row in rows)


def test_nothing_left_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "talks.json").write_text(sharegpt())
    code = main(["trace", "generate", "--from", str(tmp_path / "talks.json"),
                 "--out", str(tmp_path), "--min-turns", "9"])  # fmt: skip
    assert code == 2
    assert "no conversation is left" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["talks.json"]


MODES = ["random", "shared-prefix", "prefix-tree", "agentic"]


@pytest.mark.parametrize("mode", MODES)
def test_the_same_seed_gives_the_same_bytes(mode: str, tmp_path: Path) -> None:
    def made(name: str, seed: int) -> bytes:
        folder = tmp_path / name
        arguments = ["--mode", mode, "--requests", "50", "--arrival-rate", "3", "--think-time",
                     "exponential:2", "--input-tokens", "lognormal:100,1"]  # fmt: skip
        assert (
            main(["trace", "generate", "--out", str(folder), "--seed", str(seed), *arguments]) == 0
        )
        return (folder / f"{mode.replace('-', '_')}_trace.jsonl").read_bytes()

    assert made("a", 1) == made("b", 1) != made("c", 2)


def test_random_lengths(generate: Generate) -> None:
    rows = generate("--mode", "random", "--requests", 200, "--input-tokens", "uniform:10,20",
                    "--output-tokens", 7)  # fmt: skip
    assert {row.input_length for row in rows} == set(range(10, 21))
    assert {row.output_length for row in rows} == {7}
    assert rows[0].hash_ids is None


def test_shared_prefixes_are_shared_to_the_block(generate: Generate) -> None:
    rows = generate("--mode", "shared-prefix", "--requests", 60, "--groups", 3,
                    "--prefix-tokens", 100, "--input-tokens", 50)  # fmt: skip
    starts = {tuple((row.hash_ids or ())[:6]) for row in rows}
    assert len(starts) == 3
    assert len({(row.hash_ids or ())[6] for row in rows}) == 60  # 4 shared tokens, 12 of its own
    assert {(row.input_length, len(row.hash_ids or ())) for row in rows} == {(150, 10)}


def test_a_tree_is_shared_as_far_as_the_paths_are(generate: Generate) -> None:
    rows = generate("--mode", "prefix-tree", "--requests", 300, "--groups", 2, "--depth", 3,
                    "--fan-out", 4, "--prefix-tokens", 32, "--input-tokens", 16)  # fmt: skip
    for nodes, distinct in ((1, 2), (2, 2 * 4), (3, 2 * 4 * 4)):
        assert len({tuple((row.hash_ids or ())[: 2 * nodes]) for row in rows}) == distinct


def test_agentic_prompts_grow_by_answer_and_result(generate: Generate) -> None:
    rows = generate("--mode", "agentic", "--requests", 5, "--turns", 4, "--prefix-tokens", 64,
                    "--input-tokens", 32, "--output-tokens", 16)  # fmt: skip
    assert [row.input_length for row in rows[:4]] == [96, 144, 192, 240]
    for before, row in pairwise(rows):
        if row.turn != 1:
            assert (row.hash_ids or [])[: len(before.hash_ids or ())] == before.hash_ids
    assert len({tuple((row.hash_ids or ())[:4]) for row in rows}) == 1


def test_pieces_are_equal_where_their_tokens_are() -> None:
    one = hash_ids([Piece("a", 20), Piece("b", 20)], 16)
    assert len(one) == 3
    assert hash_ids([Piece("a", 20), Piece("c", 20)], 16)[:1] == one[:1]
    assert hash_ids([Piece("a", 20), Piece("c", 20)], 16)[1] != one[1]
    assert hash_ids([Piece("a", 20), Piece("b", 12)], 16) == one[:2]
    assert hash_ids([Piece("a", 0), Piece("a", 20)], 16)[0] == one[0]


def test_the_header_says_what_was_asked(tmp_path: Path) -> None:
    main(["trace", "generate", "--out", str(tmp_path), "--mode", "random", "--requests", "3",
          "--input-tokens", "uniform:1,9"])  # fmt: skip
    file = TraceFile(tmp_path / "random_trace.jsonl")
    list(file)
    assert file.header is not None
    assert file.header.provenance == {
        "generated_by": "vllm sim trace generate", "mode": "random", "seed": 0, "requests": 3,
        "input_tokens": "uniform:1,9",
    }  # fmt: skip


def test_the_shared_conversations(generate: Generate) -> None:
    path = shared_data("traces", "conversations", "permissive_sharegpt.json")
    assert len(generate("--from", path)) == 3_131
    rows = generate("--from", path, "--mode", "multi-turn", "--arrival-rate", 5)
    assert (len(rows), len({row.session_id for row in rows})) == (7_455, 3_131)
    assert rows[0].extra.keys() == {"source", "license"}
