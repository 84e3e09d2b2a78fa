"""The timeline in the terminal: rows, folding, requests, following a log that grows."""

from __future__ import annotations

from pathlib import Path

import pytest

from vllm.sim.cli.main import main
from vllm.sim.records import RequestRecord, ScheduledRequest, StepRecord
from vllm.sim.report.timeline_follow import follow_steps
from vllm.sim.report.timeline_lives import Lives
from vllm.sim.report.timeline_rows import rows_of
from vllm.sim.report.timeline_series import StepSeries
from vllm.sim.step_log import StepLog, step_log_path

MS = 1_000_000

# What each request does in each step: P42 a prefill of 42 tokens, D a decode, x preempted.
TABLE = """
     r0    r1    r2
0    P100  P28   .
1    D     P72   .
2    D     D     .
3    D     D     .
4    D     x     P50
5    D     .     D
6    .     P102  D
7    .     D     D
"""


def steps(table: str = TABLE) -> list[StepRecord]:
    """Each step takes 10 ms."""
    header, *lines = table.strip().splitlines()
    names, made, computed = header.split(), [], dict.fromkeys(header.split(), 0)
    for line in lines:
        number, *cells = line.split()
        record = StepRecord(
            int(number), int(number) * 10 * MS, 10 * MS, [], running=2, waiting=0, preempted=[],
            finished=[], free_blocks=10, used_blocks=5, cached_tokens=0,
        )  # fmt: skip
        for name, cell in zip(names, cells, strict=True):
            if cell == "x":
                record.preempted.append(name)
                computed[name] = 0
            elif cell != ".":
                tokens = 1 if cell == "D" else int(cell[1:])
                phase = "decode" if cell == "D" else "prefill"
                record.requests.append(ScheduledRequest(name, tokens, computed[name], phase))
                computed[name] += tokens
        made.append(record)
    made[6].finished.append("r0")
    return made


def records() -> list[RequestRecord]:
    return [
        RequestRecord("r0", 0, 100, 6, 0, 0, "length", 0, 10 * MS, 60 * MS, [10 * MS] * 5),
        RequestRecord("r1", 0, 100, 4, 0, 1, "length", 0, 20 * MS, 80 * MS, [10 * MS] * 3),
        RequestRecord("r2", 25 * MS, 50, 4, 0, 0, "stop", 40 * MS, 50 * MS, 80 * MS, [10 * MS] * 3),
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    log = StepLog(step_log_path(tmp_path))
    for step in steps():
        log.write(step)
    log.close()
    return tmp_path


def lives_of(with_records: bool) -> dict[str, list[tuple[str, int, int]]]:
    lives = Lives(records() if with_records else ())
    for step in steps():
        lives.add(step)
    return {
        life.id: [(span.state, span.start_ns // MS, span.end_ns // MS) for span in life.spans]
        for life in lives.all()
    }


def test_a_life_is_told_from_the_steps() -> None:
    assert lives_of(True) == {
        "r0": [("prefill", 0, 10), ("decode", 10, 60)],
        "r1": [
            ("prefill", 0, 10), ("prefill", 10, 20), ("decode", 20, 40), ("preempted", 40, 60),
            ("prefill", 60, 70), ("decode", 70, 80),
        ],
        "r2": [("waiting", 25, 40), ("prefill", 40, 50), ("decode", 50, 80)],
    }  # fmt: skip


def test_without_request_records_only_the_waiting_is_unknown() -> None:
    told = lives_of(True)
    told["r2"].pop(0)
    assert lives_of(False) == told


def test_a_running_request_that_gets_no_tokens_is_stalled() -> None:
    lives = Lives()
    for step in steps("  a   b\n0 P9  P9\n1 D  P9\n2 .  P9\n3 .  P9\n4 D  D\n5 D D\n6 D ."):
        lives.add(step)
    spans = lives.all()[0].spans
    assert [(one.state, one.first_step, one.last_step) for one in spans] == [
        ("prefill", 0, 0), ("decode", 1, 1), ("stalled", 2, 3), ("decode", 4, 6),
    ]  # fmt: skip


def test_steps_that_repeat_are_folded() -> None:
    rows = list(rows_of(steps()))
    assert [(row.first, row.last) for row in rows] == [
        (0, 0), (1, 1), (2, 3), (4, 4), (5, 5), (6, 6), (7, 7),
    ]  # fmt: skip
    assert [row.first for row in rows if row.resumed] == [6]
    assert [name for row in rows for name, *_ in row.admitted] == ["r0", "r1", "r2"]
    assert len(list(rows_of(steps(), fold=False))) == 8


def test_a_part_of_a_run_knows_what_came_before() -> None:
    assert not any(row.admitted for row in rows_of(steps(), first=5))
    assert [row.first for row in rows_of(steps(), first=5, last=6)] == [5, 6]


def test_the_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["timeline", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8
    assert lines[1].split()[:7] == ["0", "0.00", "10.00", "128", "2", "10", "█" * 19]
    assert "preempted r1" in lines[4] and "+r2" in lines[4]
    assert lines[6].endswith("r1 again ended r0")


def test_requests_in_the_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["timeline", str(folder), "--requests"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:] == ["r0  █░░░░░", "r1  ██░░xx█░", "r2      █░░░"]


def test_narrow_terminals_lose_the_end_of_lines_and_no_line_breaks(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    main(["timeline", str(folder)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8 and max(map(len, lines)) <= 60


def test_a_log_is_followed_in_whole_lines(folder: Path) -> None:
    log = step_log_path(folder)
    whole = log.read_bytes()
    log.write_bytes(whole[:1000])
    looks = follow_steps(log, pause_s=0)
    seen = next(looks)
    log.write_bytes(whole)
    seen += next(looks)
    assert seen == steps()
    log.write_bytes(whole[:500])  # a new run replaces the log
    assert next(looks) == steps()[: whole[:500].count(b"\n")]


def test_a_missing_log_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["timeline", str(tmp_path)]) == 2
    assert "steps.jsonl: cannot be read" in capsys.readouterr().err


def test_the_picture_is_drawn(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = folder / "timeline.png"
    assert main(["timeline", str(folder), "--png", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "8 steps, 3 requests" in capsys.readouterr().out


def test_columns_of_many_steps_keep_sums_and_peaks() -> None:
    series = StepSeries()
    for step in steps():
        series.add(step)
    columns = series.columns(most=3)
    assert columns["start_ns"].tolist() == [0, 30 * MS, 60 * MS]
    assert columns["end_ns"].tolist() == [30 * MS, 60 * MS, 80 * MS]
    assert columns["preempted"].tolist() == [0, 1, 0]
    assert columns["prefill_tokens"].tolist() == pytest.approx([200 / 3, 50 / 3, 51])
