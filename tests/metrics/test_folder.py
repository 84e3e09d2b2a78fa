"""The folder of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from vllm.sim.errors import RecordingError
from vllm.sim.metrics.folder import RunFolder, read_requests, read_summary
from vllm.sim.records import RequestRecord, StepRecord
from vllm.sim.step_log import read_steps

RECORD = RequestRecord(
    id="r0", arrival_ns=5, prompt_tokens=3, output_tokens=2, cached_tokens=0, preemptions=0,
    finish_reason="length", first_token_ns=10, end_ns=12, itl_ns=[2], trace_line=2,
)  # fmt: skip
STEP = StepRecord(0, 5, 5, [], 1, 0, [], [], 9, 1, 0)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "new" / "run")
    folder.add_step(STEP)
    folder.add_request(RECORD)
    summary = folder.finish(True, model_id="m")
    assert read_summary(folder.path) == summary
    assert list(summary)[:2] == ["complete", "model_id"]
    assert list(read_requests(folder.path)) == [RECORD]
    assert list(read_steps(folder.path / "steps.jsonl")) == [STEP]


def test_a_new_run_takes_the_old_summary_away(tmp_path: Path) -> None:
    RunFolder(tmp_path).finish(True)
    RunFolder(tmp_path)
    with pytest.raises(RecordingError, match=r"summary\.json: cannot be read"):
        read_summary(tmp_path)


def test_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text('{"schema_version": 99}')
    with pytest.raises(RecordingError, match="schema_version is 99, this version reads 1"):
        read_summary(tmp_path)


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "requests.jsonl").write_text("{}\n")
    with pytest.raises(RecordingError, match=r"requests.jsonl, line 1"):
        list(read_requests(tmp_path))


def test_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match="choose another --out"):
        RunFolder(tmp_path / "file")
