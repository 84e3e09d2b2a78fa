"""Runs side by side: configuration, figures, the first step that differs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vllm.sim.cli.main import main
from vllm.sim.metrics.compare_steps import first_parting
from vllm.sim.metrics.folder import RunFolder
from vllm.sim.records import RequestRecord, ScheduledRequest, StepRecord
from vllm.sim.step_log import read_steps, step_log_path

MS = 1_000_000


def write_run(path: Path, budget: int, step_ms: int = 10) -> Path:
    """One prompt of 100 tokens in chunks of ``budget``, then two more tokens."""
    folder = RunFolder(path)
    chunks = [budget] * (100 // budget) + ([100 % budget] if 100 % budget else [])
    done, first_token_ns, now = 0, 0, 0
    for number, tokens in enumerate([*chunks, 1, 1]):
        phase = "prefill" if number < len(chunks) else "decode"
        folder.add_step(
            StepRecord(
                number, now, step_ms * MS, [ScheduledRequest("r0", tokens, done, phase)],
                1, 0, [], [], 9, 1, 0,
            )
        )  # fmt: skip
        done, now = done + tokens, now + step_ms * MS
        if number == len(chunks) - 1:
            first_token_ns = now
    folder.add_request(
        RequestRecord("r0", 0, 100, 3, 0, 0, "length", 0, first_token_ns, now, [step_ms * MS] * 2)
    )
    folder.finish(True, max_num_batched_tokens=budget, block_size=16, wall_seconds=1.0)
    return path


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    return [str(write_run(tmp_path / f"b{budget}", budget)) for budget in (100, 50, 40)]


def compared(folders: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["compare", *folders, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_only_what_was_set_differently_is_listed(
    runs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    said = compared(runs, capsys)
    assert said["configuration"] == {"max_num_batched_tokens": [100, 50, 40]}
    assert [run["name"] for run in said["runs"]] == ["b100", "b50", "b40"]


def test_changes_are_against_the_first_run(
    runs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    ttft = compared(runs, capsys)["figures"]["mean_ttft_ms"]
    assert ttft == {"values": [10.0, 20.0, 30.0], "change": [1.0, 2.0], "better": "lower"}


def test_where_the_schedules_part(runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    half, _ = compared(runs, capsys)["schedules"]
    assert half == {
        "same_steps": 0,
        "at_ns": [0, 0],
        "differences": [["r0", "prefill of 100 after 0", "prefill of 50 after 0"]],
    }


def test_time_alone_does_not_part_schedules(tmp_path: Path) -> None:
    slow, fast = (write_run(tmp_path / str(ms), 50, ms) for ms in (20, 10))
    logs = [step_log_path(folder) for folder in (slow, fast)]
    assert first_parting(*map(read_steps, logs)) is None


def test_a_run_that_is_longer_parts_at_its_end() -> None:
    steps = [
        StepRecord(n, n, 1, [ScheduledRequest("r0", 1, n, "decode")], 1, 0, [], [], 1, 1, 0)
        for n in range(3)
    ]
    parting = first_parting(steps[:2], steps)
    assert parting is not None
    assert (parting.place, parting.at_ns) == (2, (None, 2))
    assert parting.differences == [("the run", "has ended", None)]


def test_a_preemption_is_a_difference() -> None:
    step = StepRecord(0, 0, 1, [], 1, 0, ["r1"], [], 1, 1, 0)
    other = StepRecord(0, 0, 1, [], 1, 0, [], [], 1, 1, 0)
    parting = first_parting([step], [other])
    assert parting is not None and parting.differences == [("preempted", "r1", None)]


def test_requests_that_won_and_lost(runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    half, _ = compared(runs, capsys)["requests"]
    assert half == {"both": 1, "sooner": 0, "later": 1, "most": [["r0", 10 * MS]]}


def test_the_terminal(runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *runs[:2]]) == 0
    out = capsys.readouterr().out
    words = [line.split() for line in out.splitlines()]
    assert ["max_num_batched_tokens", "100", "50"] in words
    assert ["mean", "TTFT", "(ms)", "10.00", "20.00", "+100.0", "%"] in words
    assert "the same for 0 steps; step 0, at 0.00 ms and 0.00 ms, differs:" in out
    assert "of 1 requests 0 took less time and 1 more; most of all r0 +10.0 ms" in out


def test_a_run_without_a_summary_is_an_error(
    runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", runs[0], str(tmp_path)]) == 2
    assert "summary.json: cannot be read" in capsys.readouterr().err
