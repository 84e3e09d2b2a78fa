"""A real engine, recorded; and its recording, replayed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest
from support.models import save_tiny_llama
from support.traces import write_trace

from replay.conftest import Run
from vllm.sim.cli.main import main
from vllm.sim.errors import RecordingError, SettingsError
from vllm.sim.latency.model import StatelessModel, StepTime
from vllm.sim.records import RequestRecord, StepRecord
from vllm.sim.trace.read import TraceFile

pytestmark = pytest.mark.engine

ARGUMENTS = {
    "dtype": "float32", "enforce_eager": True, "block_size": 32, "num_gpu_blocks_override": 24,
    "max_model_len": 512, "max_num_seqs": 6, "max_num_batched_tokens": 128,
    "gpu_memory_utilization": 0.1,
}  # fmt: skip
# Prefill chunks, shared prefixes, preemption, a session, and an idle engine in between. What
# arrives while the engine works arrives together: one that came within the moment between a
# step's end and the next look at the queue would be seen a step later by one of the two runs.
ROWS: list[dict[str, Any]] = [
    *(
        {
            "input_length": 64 + 40 * (at % 4), "hash_ids": [at % 3, 50 + at], "block_size": 32,
            "output_length": 20 + 9 * (at % 5), "timestamp": 0.0,
        }
        for at in range(14)
    ),
    {"input_length": 30, "output_length": 5, "timestamp": 3.0, "session_id": "a", "turn": 0},
    {
        "input_length": 60, "output_length": 4, "session_id": "a", "turn": 1, "think_time": 0.2,
    },
    {"input_length": 512, "output_length": 4, "timestamp": 3.0},
]  # fmt: skip


class Recording(NamedTuple):
    model: Path
    run: Run


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    from vllm.engine.arg_utils import EngineArgs

    from vllm.sim.engine.recorder_run import record
    from vllm.sim.engine.replay_run import RunOptions

    folder = tmp_path_factory.mktemp("record")
    model = save_tiny_llama(folder / "model")
    options = RunOptions(write_trace(folder / "t.jsonl", ROWS), folder / "run")
    # On a core of its own, or its threads wait for each other where others are at work.
    core = {"VLLM_CPU_OMP_THREADS_BIND": str(max(os.sched_getaffinity(0)))}
    with mock.patch.dict(os.environ, core):
        record(EngineArgs(model=str(model), **ARGUMENTS), options)
    yield Recording(model, Run(options.out))


def queueing_ns(record: RequestRecord) -> int:
    assert record.first_scheduled_ns is not None
    return record.first_scheduled_ns - record.arrival_ns


def _number(record: RequestRecord) -> int:
    return int(record.id.removeprefix("r"))


ROUNDING_NS = 1_000  # a trace has seconds


class Measured(StatelessModel):
    """Step times of a recorded run, in order."""

    def __init__(self, steps: list[StepRecord]) -> None:
        self._durations_ns = iter([step.duration_ns for step in steps])

    def step_time(self, step: StepRecord) -> StepTime:
        return StepTime(next(self._durations_ns))

    def describe(self) -> str:
        return "measured"


def test_the_folder_says_what_was_served(recording: Recording) -> None:
    run = recording.run
    assert run.summary["complete"] and run.summary["completed"] == 16
    assert run.summary["refused"] == 1
    assert run.summary["preemptions"] > 0 and run.summary["prefix_cache_hit_rate"] > 0
    for number, row in enumerate(ROWS[:-1]):
        assert run.requests[f"r{number}"].output_tokens == row["output_length"]
    assert run.summary["busy_seconds"] < run.summary["simulated_seconds"]


def test_steps_of_a_busy_engine_leave_no_time_over(recording: Recording) -> None:
    steps = recording.run.steps
    for before, after in pairwise(steps):
        end_ns = before.start_ns + before.duration_ns
        assert after.start_ns >= end_ns
        if after.waiting or (before.running > len(before.finished) and after.step < 20):
            assert after.start_ns == end_ns


def test_the_trace_holds_what_is_needed_to_replay_it(recording: Recording) -> None:
    with TraceFile(recording.run.folder / "trace.jsonl") as file:
        rows = [placed.row for placed in file]
        header = file.header
    assert header is not None and header.config is not None
    assert header.num_gpu_blocks == 24 and header.block_size == 32
    assert header.model == str(recording.model)
    assert header.config["max_num_batched_tokens"] == 128
    arrivals = [row.timestamp for row in rows]
    assert arrivals == sorted(arrivals) and len(rows) == 16
    served = [record for record in recording.run.by_end if record.end_ns is not None]
    served.sort(key=_number)
    for row, record in zip(rows, served, strict=True):
        assert row.prompt_token_ids is not None and row.response_token_ids is not None
        assert len(row.response_token_ids) == row.max_tokens == record.output_tokens
        assert row.finish_reason == "length"
        assert row.ttft == pytest.approx((record.ttft_ns or 0) / 1e9)


def test_replaying_the_measured_steps_gives_the_measured_latencies(
    recording: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The meaning of a step's time: with it, and nothing else, a replay is the recorded run."""
    from vllm.sim.engine import replay_recorded as module

    real = recording.run
    monkeypatch.setattr(
        "vllm.sim.engine.device.build_latency_model", lambda *_, **__: Measured(real.steps)
    )
    module.replay_recorded(real.folder, tmp_path, "instant")
    simulated = Run(tmp_path)
    assert [
        [(request.new_tokens, request.computed_tokens) for request in step.requests]
        for step in simulated.steps
    ] == [
        [(request.new_tokens, request.computed_tokens) for request in step.requests]
        for step in real.steps
    ]
    assert simulated.summary["preemptions"] == real.summary["preemptions"]
    by_arrival = [
        sorted((record for record in run.by_end if record.end_ns), key=_number)
        for run in (real, simulated)
    ]
    for one, other in zip(*by_arrival, strict=True):
        assert (one.prompt_tokens, one.cached_tokens) == (other.prompt_tokens, other.cached_tokens)
        # The recorded engine woke up a little after an arrival that it had been waiting for, and
        # all that it did until it waited again was as much later. A busy machine sleeps long.
        late_ns = queueing_ns(one) - queueing_ns(other)
        assert -ROUNDING_NS <= late_ns < 100e6
        assert one.ttft_ns == pytest.approx(other.ttft_ns + late_ns, abs=ROUNDING_NS)
        assert one.e2el_ns == pytest.approx(other.e2el_ns + late_ns, abs=ROUNDING_NS)
        assert other.itl_ns == pytest.approx(one.itl_ns, abs=1)


def test_a_replay_does_not_write_over_a_recording(recording: Recording) -> None:
    from vllm.engine.arg_utils import EngineArgs

    from vllm.sim.engine.replay_run import RunOptions, replay

    folder = recording.run.folder
    steps = (folder / "steps.jsonl").read_bytes()
    engine_args = EngineArgs(model=str(recording.model), **ARGUMENTS)
    with pytest.raises(SettingsError, match=r"--out .*: holds a recording"):
        replay(engine_args, RunOptions(folder / "trace.jsonl", folder))
    assert (folder / "steps.jsonl").read_bytes() == steps


def test_a_fit_to_simulated_steps_is_called_one(
    recording: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("steps.jsonl", "summary.json"):
        (folder / name).write_bytes((recording.run.folder / name).read_bytes())
    words = ["calibrate", str(folder), "--out", str(tmp_path / "fit.json")]
    assert main(words) == 0 and "simulated" not in capsys.readouterr().err
    summary = json.loads((folder / "summary.json").read_text()) | {"latency": "roofline of …"}
    (folder / "summary.json").write_text(json.dumps(summary))
    assert main(words) == 0 and "fit to roofline of …" in capsys.readouterr().err


def test_calibrate_and_validate(
    recording: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit = tmp_path / "fit.json"
    assert main(["calibrate", str(recording.run.folder), "--out", str(fit)]) == 0
    assert "held out" in capsys.readouterr().out
    out = tmp_path / "validation"
    words = ["validate", str(recording.run.folder), "--sim-latency", str(fit), "--out", str(out)]
    assert main(words) == 0
    table = capsys.readouterr().out
    assert "TTFT p99 (ms)" in table and "preemptions" in table
    figures = json.loads((out / "validation.json").read_text())["figures"]
    assert figures["completed"] == {"real": 16, "simulated": 16, "error": 0, "relative": False}
    real, simulated = figures["mean_tpot_ms"]["real"], figures["mean_tpot_ms"]["simulated"]
    assert figures["mean_tpot_ms"]["error"] == pytest.approx(simulated / real - 1)
    assert (out / "validation.png").read_bytes().startswith(b"\x89PNG")


def test_a_simulated_engine_is_not_recorded(tmp_path: Path) -> None:
    from support.paths import DEMO_MODEL
    from vllm.engine.arg_utils import EngineArgs

    from vllm.sim.engine.recorder_run import record
    from vllm.sim.engine.replay_run import RunOptions

    engine_args = EngineArgs(model=str(DEMO_MODEL), use_simulator=True)
    with pytest.raises(SettingsError, match="needs a real engine"):
        record(engine_args, RunOptions(tmp_path / "t.jsonl", tmp_path / "run"))


def test_a_folder_that_was_not_recorded_is_not_validated(tmp_path: Path) -> None:
    from vllm.sim.engine.replay_recorded import replay_recorded

    write_trace(tmp_path / "trace.jsonl", [{"prompt": "a", "response": "b"}])
    with pytest.raises(RecordingError, match="no header with the recorded configuration"):
        replay_recorded(tmp_path, tmp_path / "out", "instant")
