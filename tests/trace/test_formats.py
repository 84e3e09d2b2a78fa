"""Every format: read, told apart, refused when broken."""

from __future__ import annotations

import gzip
from contextlib import closing
from pathlib import Path

import pytest
from format_samples import BROKEN, SAMPLES, SHAREGPT, BrokenSample, FileSample

from vllm.sim.errors import TraceError
from vllm.sim.trace.check import check_rows
from vllm.sim.trace.formats import FORMATS, ReadOptions, detect, open_rows
from vllm.sim.trace.schema import TraceRow


def rows_of(path: Path, name: str = "auto", options: ReadOptions | None = None) -> list[TraceRow]:
    _, reader = open_rows(path, name, options or ReadOptions())
    with closing(reader):
        return [placed.row for placed in reader]


def check(path: Path, name: str) -> None:
    _, reader = open_rows(path, name, ReadOptions())
    with closing(reader):
        check_rows(reader, name, None)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_a_sample_is_told_and_read(sample: FileSample, packed: bool, tmp_path: Path) -> None:
    path = tmp_path / (sample.name + (".gz" if packed else ""))
    path.write_bytes(gzip.compress(sample.text.encode()) if packed else sample.text.encode())
    assert detect(path).name == sample.format
    assert len(rows_of(path)) == sample.rows
    check(path, sample.format)


def test_every_format_has_a_sample() -> None:
    assert {sample.format for sample in SAMPLES} == FORMATS.keys()
    for kind in ("missing", "negative", "nan"):
        without = FORMATS.keys() - {broken.format for broken in BROKEN if broken.what == kind}
        # Conversations have no numbers that could be negative, Azure has integers only.
        assert without <= ({"sharegpt", "openai"} if kind == "negative" else set()), kind


@pytest.mark.parametrize("broken", BROKEN, ids=lambda b: f"{b.what}-{b.format}-{b.said}")
def test_a_broken_file_names_the_place_and_the_way_out(
    broken: BrokenSample, tmp_path: Path
) -> None:
    text = broken.text.replace(broken.old, broken.new, 1)
    assert text != broken.text
    path = tmp_path / "broken"
    path.write_text(text, "utf-8")
    with pytest.raises(TraceError) as error:
        check(path, broken.format)
    message = str(error.value)
    assert broken.said in message
    assert str(path) in message and "\n" not in message
    if broken.line is not None:
        assert error.value.line == broken.line


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
def test_a_file_that_was_cut_off_is_refused(sample: FileSample, tmp_path: Path) -> None:
    path = tmp_path / "cut"
    # A CSV cut between two rows, or within the last cell, cannot be told from a whole one.
    lost = 24 if sample.name.endswith(".csv") else 12
    path.write_text(sample.text.rstrip()[:-lost], "utf-8")
    with pytest.raises(TraceError):
        check(path, sample.format)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
def test_a_gzip_that_was_cut_off_is_refused(sample: FileSample, tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(sample.text.encode())[:-10])
    with pytest.raises(TraceError, match="cut off"):
        check(path, sample.format)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_an_empty_file_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.write_text("")
    with pytest.raises(TraceError):
        check(path, name)


@pytest.mark.parametrize("text", ["", "hello\n", "[]", '{"a": 1}\n', "a,b\n1,2\n"])
def test_what_no_format_fits_is_not_guessed(text: str, tmp_path: Path) -> None:
    path = tmp_path / "what"
    path.write_text(text)
    with pytest.raises(TraceError, match="--from"):
        detect(path)


def test_short_prompts_fit_two_formats_and_are_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "short.jsonl"
    path.write_text('{"timestamp": 1, "input_length": 9, "output_length": 1, "hash_ids": [0]}\n')
    with pytest.raises(TraceError, match="may be mooncake or timed-trace"):
        detect(path)


def test_mooncake_counts_milliseconds_and_512_tokens(tmp_path: Path) -> None:
    path = _write(tmp_path, "moon.jsonl")
    rows = rows_of(path)
    assert [row.timestamp for row in rows] == [0, 0, 3.0]
    assert {row.block_size for row in rows} == {512}
    in_seconds = rows_of(path, "mooncake", ReadOptions(time_unit="s"))
    assert in_seconds[2].timestamp == 3000


def test_azure_keeps_the_seventh_digit(tmp_path: Path) -> None:
    rows = rows_of(_write(tmp_path, "azure23.csv"))
    assert [row.timestamp for row in rows] == [0.0, 4.3145789]


def test_bailian_sessions_follow_the_parents(tmp_path: Path) -> None:
    rows = rows_of(_write(tmp_path, "bailian.jsonl"))
    assert [(row.session_id, row.turn) for row in rows] == [(5, 1), (6, 1), (5, 2)]


def test_burstgpt_3_is_read_by_name(tmp_path: Path) -> None:
    rows = rows_of(_write(tmp_path, "burst3.csv"))
    assert [(row.input_length, row.session_id, row.turn) for row in rows] == [
        (472, "s1", 1), (20, None, None), (600, "s1", 2),
    ]  # fmt: skip
    assert rows[0].extra == {"log_type": "Conversation log", "elapsed_time": 2.5}


def test_burstgpt_marks_failed_requests(tmp_path: Path) -> None:
    rows = rows_of(_write(tmp_path, "burst1.csv"))
    assert [row.finish_reason for row in rows] == [None, "error"]


def test_kv_cache_tester_ids_of_two_files_stay_apart(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        text = _text("walk.json").replace('"walk"', f'"{name}"')
        (tmp_path / name).write_text(text)
    rows = rows_of(tmp_path)
    assert [row.session_id for row in rows] == ["a.json", "a.json", "b.json", "b.json"]
    assert set(rows[1].hash_ids or ()).isdisjoint(rows[3].hash_ids or ())
    assert rows[2].hash_ids == (rows[3].hash_ids or [])[:2]
    # Each file begins at 0 on its own: no common clock is made up.
    assert {row.timestamp for row in rows} == {None}
    assert [row.think_time for row in rows] == [0.0, 6.5, 0.0, 6.5]


def test_a_sharegpt_row_has_the_whole_history(tmp_path: Path) -> None:
    rows = rows_of(_write(tmp_path, "share.json"))
    assert [m["content"] for m in rows[1].messages or ()] == [
        "Where is the sea?", "Behind the dunes.", "How far?",
    ]  # fmt: skip
    assert rows[1].response == "A mile — or two."
    assert (rows[1].session_id, rows[1].turn) == ("x1", 2)
    assert rows[2].messages == [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Is it cold?"},
    ]  # fmt: skip
    assert rows[2].extra == {"licence": "CC0"}


def test_an_openai_tool_call_is_no_answer_but_stays_in_the_history(tmp_path: Path) -> None:
    path = _write(tmp_path, "chat.jsonl")
    _, reader = open_rows(path, "openai", ReadOptions())
    with closing(reader):
        rows = [placed.row for placed in reader]
    assert rows[2].response == "It rains."
    assert "tool_calls" in (rows[2].messages or [{}, {}])[1]
    assert rows[2].tools
    assert sum(reader.notes.values()) == 1


def test_vllm_bench_keeps_what_each_request_did(tmp_path: Path) -> None:
    rows = rows_of(_write(tmp_path, "bench.json"))
    assert (rows[0].ttft, rows[0].itl, rows[0].response) == (0.1, [0.02, 0.03], "a b c")
    assert (rows[1].finish_reason, rows[1].ttft, rows[1].timestamp) == ("error", None, 0.5)


@pytest.mark.parametrize("chunk", [1, 2, 7, 64])
def test_an_array_is_read_the_same_in_any_chunks(
    chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _write(tmp_path, "share.json")
    whole = rows_of(path)
    monkeypatch.setattr("vllm.sim.trace.formats.json_items._CHUNK", chunk)
    assert rows_of(path) == whole
    path.write_text(SHAREGPT + "x", "utf-8")
    with pytest.raises(TraceError, match="follows the end"):
        rows_of(path, "sharegpt")


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    for name in ("azure23.csv", "share.json", "moon.jsonl"):
        path = tmp_path / name
        path.write_bytes(b"\xef\xbb\xbf" + _text(name).encode())
        assert rows_of(path)


def _text(name: str) -> str:
    return next(sample.text for sample in SAMPLES if sample.name == name)


def _write(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text(_text(name), "utf-8")
    return path
