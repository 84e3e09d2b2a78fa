"""Conversions: round trips, what gets lost, what is refused, and that nothing is left behind."""

from __future__ import annotations

import itertools
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from format_samples import SAMPLES, FileSample
from support.paths import DEMO_MODEL, shared_data
from support.traces import write_trace

from vllm.sim.errors import TraceError
from vllm.sim.trace.convert import ConvertOptions, ConvertReport, convert
from vllm.sim.trace.formats import FORMATS, ReadOptions, WriteOptions, open_rows
from vllm.sim.trace.reuse import PrefixReuse
from vllm.sim.trace.schema import TraceRow
from vllm.sim.trace.tokens import RowTokenizer

WRITABLE = [s for s in SAMPLES if FORMATS[s.format].writer is not None]


def rows_of(path: Path, name: str, options: ReadOptions | None = None) -> list[TraceRow]:
    _, reader = open_rows(path, name, options or ReadOptions())
    with closing(reader):
        return [placed.row for placed in reader]


def write(folder: Path, sample: FileSample) -> Path:
    path = folder / sample.name
    path.write_text(sample.text, "utf-8")
    return path


def run(source: Path, target: Path, to: str, **options: object) -> ConvertReport:
    return convert(source, "auto", target, to, ConvertOptions(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize("sample", WRITABLE, ids=lambda s: s.name)
def test_through_our_own_format_and_back(sample: FileSample, tmp_path: Path) -> None:
    source = write(tmp_path, sample)
    ours, back = tmp_path / "ours.jsonl.gz", tmp_path / "back"
    assert run(source, ours, "vllm-sim").left_out == {}
    report = convert(ours, "vllm-sim", back, sample.format, ConvertOptions())
    assert report.rows == sample.rows
    assert report.left_out == {}
    assert rows_of(back, sample.format) == rows_of(source, sample.format)


PAIRS = [
    (sample, form.name)
    for sample, form in itertools.product(SAMPLES, FORMATS.values())
    if form.writer is not None and form.name != sample.format
]


@pytest.mark.parametrize(("sample", "to"), PAIRS, ids=lambda x: getattr(x, "name", x))
def test_every_pair_converts_or_says_what_is_missing(
    sample: FileSample, to: str, tmp_path: Path
) -> None:
    source, target = write(tmp_path, sample), tmp_path / "target"
    before = rows_of(source, sample.format)
    try:
        report = run(
            source, target, to,
            unshared=True, tokenizer=RowTokenizer(DEMO_MODEL),
            write=WriteOptions(start_time="2024-01-01 00:00:00"),
        )  # fmt: skip
    except TraceError as error:
        assert not target.exists()
        # Conversations have no times, lengths have no text, some files hold one session.
        assert any(
            way in str(error)
            for way in (
                "no timestamp",
                "no prompt text",
                "no response text",
                "one session",
                "ShareGPT cannot say",
            )
        )
        return
    # A timed trace does not say its block size: the report tells the option that vLLM needs.
    size = before[0].block_size if to == "timed-trace" else None
    after = rows_of(target, to, ReadOptions(block_size=size))
    assert len(after) == len(before) == report.rows
    for old, new in zip(before, after, strict=True):
        for field in ("input_length", "output_length", "response", "messages"):
            if (said := getattr(old, field)) is not None and field in FORMATS[to].says:
                assert getattr(new, field) == said
        if old.timestamp is not None and "timestamp" in FORMATS[to].says:
            # Azure has wall clock times, so that its first row is its start.
            start = (before[0].timestamp or 0) if to == "azure" else 0
            assert new.timestamp == pytest.approx(old.timestamp - start, abs=5e-4)


def test_what_the_target_cannot_say_is_counted(tmp_path: Path) -> None:
    source = write(tmp_path, next(s for s in SAMPLES if s.name == "bailian.jsonl"))
    report = run(source, tmp_path / "out", "azure",
                 write=WriteOptions(start_time="2024-01-01 00:00:00"))  # fmt: skip
    assert report.left_out == {
        "hash_ids": 3, "block_size": 3, "session_id": 3, "turn": 3,
        "chat_id": 3, "parent_chat_id": 3, "type": 3,
    }  # fmt: skip


def test_sharing_is_not_made_up(tmp_path: Path) -> None:
    source = write(tmp_path, next(s for s in SAMPLES if s.name == "azure23.csv"))
    with pytest.raises(TraceError, match="--unshared"):
        run(source, tmp_path / "out", "mooncake")
    report = run(source, tmp_path / "out", "mooncake", unshared=True)
    assert report.notes == {
        "rows whose hash ids say, as asked, that nothing is shared": 2,
        "timestamps rounded to a millisecond": 1,
    }
    ids = [set(row.hash_ids or ()) for row in rows_of(tmp_path / "out", "mooncake")]
    assert ids[0].isdisjoint(ids[1])


def test_azure_needs_a_date_and_gets_it_back(tmp_path: Path) -> None:
    source = write(tmp_path, next(s for s in SAMPLES if s.name == "moon.jsonl"))
    with pytest.raises(TraceError, match="--start-time"):
        run(source, tmp_path / "out.csv", "azure")
    options = WriteOptions(start_time="2024-02-29 23:59:59.5")
    run(source, tmp_path / "out.csv", "azure", write=options)
    assert "2024-03-01 00:00:02.5000000,1030,7" in (tmp_path / "out.csv").read_text()


def test_a_result_of_a_run_is_not_written(tmp_path: Path) -> None:
    source = write(tmp_path, SAMPLES[0])
    with pytest.raises(TraceError, match="read only"):
        run(source, tmp_path / "out", "vllm-bench")


@pytest.mark.parametrize("name", ["moon.jsonl", "azure23.csv", "burst1.csv"])
def test_unsorted_rows_are_sorted_on_request(name: str, tmp_path: Path) -> None:
    sample = next(s for s in SAMPLES if s.name == name)
    header, *rows = sample.text.splitlines(keepends=True)
    if not name.endswith(".csv"):
        rows, header = [header, *rows], ""
    source = tmp_path / name
    source.write_text(header + "".join(reversed(rows)))
    with pytest.raises(TraceError, match="--sort"):
        run(source, tmp_path / "out", "vllm-sim")
    assert not (tmp_path / "out").exists()
    run(source, tmp_path / "out", "vllm-sim", sort=True, read=ReadOptions(sorting=True))
    source.write_text(sample.text)
    in_order = rows_of(source, sample.format)
    key = lambda row: (row.timestamp, row.input_length)  # noqa: E731 (equal times keep file order)
    assert sorted(rows_of(tmp_path / "out", "vllm-sim"), key=key) == sorted(in_order, key=key)


def test_sorting_needs_times(tmp_path: Path) -> None:
    source = write_trace(tmp_path / "in.jsonl", [{"prompt": "a", "response": "b"}])
    with pytest.raises(TraceError, match="timestamp on every row"):
        run(source, tmp_path / "out", "vllm-sim", sort=True)


def test_interleaved_sessions_become_whole_conversations(tmp_path: Path) -> None:
    def turn(session: str, number: int, at: float) -> dict:
        said = [
            {"role": role, "content": f"{session} {n}"}
            for n in range(1, number)
            for role in ("user", "assistant")
        ]
        return {
            "messages": [*said, {"role": "user", "content": f"{session} {number}"}],
            "response": f"{session} {number}", "session_id": session, "turn": number,
            "timestamp": at,
        }  # fmt: skip

    source = write_trace(
        tmp_path / "in.jsonl",
        [turn("a", 1, 0), turn("b", 1, 1), turn("a", 2, 2), turn("b", 2, 3), turn("a", 3, 4)],
    )
    report = run(source, tmp_path / "out.json", "sharegpt")
    whole = msgspec.json.decode((tmp_path / "out.json").read_bytes())
    assert [(c["id"], len(c["conversations"])) for c in whole] == [("a", 6), ("b", 4)]
    assert report.left_out == {"timestamp": 5}


def test_histories_that_part_become_conversations_of_their_own(tmp_path: Path) -> None:
    rows = [
        {"messages": [{"role": "user", "content": text}], "response": "r", "session_id": 1,
         "turn": turn}
        for turn, text in enumerate(("x", "y"), start=1)
    ]  # fmt: skip
    report = run(write_trace(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl", "openai")
    assert report.notes == {"sessions written as several conversations": 1}
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2


def test_text_is_cut_into_blocks_by_a_tokenizer(tmp_path: Path) -> None:
    tokenizer = RowTokenizer(DEMO_MODEL)
    shared = "The library is open from nine to eight. " * 20
    source = write_trace(
        tmp_path / "in.jsonl",
        [{"prompt": shared + end, "response": "Yes.", "timestamp": n}
         for n, end in enumerate(("And on Sunday?", "And the café?"))],
    )  # fmt: skip
    run(source, tmp_path / "out", "timed-trace", tokenizer=tokenizer)
    one, other = rows_of(tmp_path / "out", "timed-trace")
    common = len(tokenizer.encode(shared)) // 16 - 1
    assert (one.hash_ids or [])[:common] == (other.hash_ids or [])[:common]
    assert (one.hash_ids or [])[-1] != (other.hash_ids or [])[-1]
    assert one.input_length == len(tokenizer.encode(shared + "And on Sunday?"))


def test_a_smaller_block_shares_the_same_and_a_larger_one_says_what_it_loses(
    tmp_path: Path,
) -> None:
    source = write(tmp_path, next(s for s in SAMPLES if s.name == "moon.jsonl"))
    report = run(source, tmp_path / "small", "bailian")
    assert not any("sharing is lost" in note for note in report.notes)
    assert _hits(rows_of(tmp_path / "small", "bailian")) == _hits(rows_of(source, "mooncake"))
    run(source, tmp_path / "same", "timed-trace")
    report = run(tmp_path / "small", tmp_path / "back", "mooncake")
    assert report.notes == {"rows whose ids were of 16 tokens: shorter sharing is lost": 3}
    assert _hits(rows_of(tmp_path / "back", "mooncake")) == _hits(rows_of(source, "mooncake"))


def test_one_session_of_several(tmp_path: Path) -> None:
    source = write(tmp_path, next(s for s in SAMPLES if s.name == "bailian.jsonl"))
    with pytest.raises(TraceError, match="--session 5"):
        run(source, tmp_path / "out", "kv-cache-tester")
    run(source, tmp_path / "out", "kv-cache-tester", session="5")
    assert [row.input_length for row in rows_of(tmp_path / "out", "kv-cache-tester")] == [40, 60]
    with pytest.raises(TraceError, match="no row has session_id 'zz'"):
        run(source, tmp_path / "out", "kv-cache-tester", session="zz")


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    good = write(tmp_path, SAMPLES[1])
    target = tmp_path / "out.jsonl"
    target.write_text("precious")
    good.write_text(SAMPLES[1].text + "{broken\n")
    with pytest.raises(TraceError, match="line 4"):
        run(good, target, "vllm-sim")
    assert target.read_text() == "precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["moon.jsonl", "out.jsonl"]


def test_a_trace_can_take_its_own_place(tmp_path: Path) -> None:
    path = write(tmp_path, SAMPLES[0])
    run(path, path, "vllm-sim")
    assert len(rows_of(path, "vllm-sim")) == 2


def test_mooncake_comes_back_to_the_byte(tmp_path: Path) -> None:
    source = shared_data("traces", "mooncake", "conversation_trace.jsonl")
    run(source, tmp_path / "ours.jsonl.gz", "vllm-sim")
    run(tmp_path / "ours.jsonl.gz", tmp_path / "back.jsonl", "mooncake")
    decode = msgspec.json.Decoder().decode_lines
    assert decode((tmp_path / "back.jsonl").read_bytes()) == decode(source.read_bytes())


@pytest.mark.parametrize("name", ["code", "conv"])
def test_azure_comes_back_to_the_byte(name: str, tmp_path: Path) -> None:
    source = shared_data("traces", "azure2023", f"AzureLLMInferenceTrace_{name}.csv")
    run(source, tmp_path / "ours.jsonl", "vllm-sim")
    run(tmp_path / "ours.jsonl", tmp_path / "back.csv", "azure")
    ours, theirs = (p.read_bytes().splitlines() for p in (tmp_path / "back.csv", source))
    assert ours == theirs


def test_conversations_come_back_whole(tmp_path: Path) -> None:
    source = shared_data("traces", "conversations", "permissive_sharegpt.json")
    run(source, tmp_path / "ours.jsonl", "vllm-sim")
    run(tmp_path / "ours.jsonl", tmp_path / "back.json", "sharegpt")
    decode = msgspec.json.decode
    assert decode((tmp_path / "back.json").read_bytes()) == decode(source.read_bytes())


def test_coding_sessions_come_back(tmp_path: Path) -> None:
    for source in sorted(shared_data("traces", "claude_code").glob("*.json")):
        run(source, tmp_path / "ours.jsonl", "vllm-sim")
        run(tmp_path / "ours.jsonl", tmp_path / "back.json", "kv-cache-tester")
        ours, theirs = (msgspec.json.decode(p.read_bytes()) for p in (tmp_path / "back.json",
                                                                      source))  # fmt: skip
        assert ours["requests"] == theirs["requests"]


def test_all_coding_sessions_convert_at_once(tmp_path: Path) -> None:
    report = run(shared_data("traces", "claude_code"), tmp_path / "ours.jsonl", "vllm-sim")
    assert (report.rows, report.left_out) == (568, {})


def _hits(rows: list[TraceRow]) -> list[int]:
    reuse = PrefixReuse()
    for row in rows:
        reuse.add(row.hash_ids or [], row.block_size or 0, row.input_length or 0)
    reuse.finish()
    return list(reuse.hit_tokens)
