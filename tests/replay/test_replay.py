"""Whole replays: every kind of row, refusals, interruption, equal files for equal runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.paths import DEMO_MODEL, REPOSITORY
from support.traces import write_trace

from replay.conftest import ReplayRows
from vllm.sim.cli.main import main
from vllm.sim.errors import SettingsError, TraceError
from vllm.sim.metrics.folder import read_requests, read_summary
from vllm.sim.step_log import read_steps

pytestmark = pytest.mark.engine

KINDS: list[dict[str, Any]] = [
    {"prompt": "Hello", "response": " world!"},
    {"messages": [{"role": "user", "content": "Who are you?"}], "response": "A recording."},
    {"prompt_token_ids": [5, 6, 7, 8], "response_token_ids": [9, 10, 11]},
    {"input_length": 70, "output_length": 9},
    {"input_length": 70, "hash_ids": [1, 2, 3], "block_size": 32, "output_length": 4},
    {"prompt_token_ids": [5, 6], "response": "cut", "finish_reason": "length"},
    {"input_length": 8, "output_length": 30, "max_tokens": 6},
]


def test_every_kind_of_row(replay_rows: ReplayRows) -> None:
    run = replay_rows(KINDS)
    ended = {id: (r.output_tokens, r.finish_reason) for id, r in run.requests.items()}
    assert ended["r2"] == (3, "stop")
    assert ended["r3"] == (9, "stop")
    assert ended["r4"] == (4, "stop")
    assert ended["r5"][1] == "length"
    assert ended["r6"] == (6, "length")
    assert [run.requests[f"r{at}"].prompt_tokens for at in (2, 3, 4)] == [4, 70, 70]
    assert run.requests["r1"].prompt_tokens > run.requests["r0"].prompt_tokens > 0
    assert run.summary["complete"] and run.summary["completed"] == len(KINDS)
    assert [run.requests[f"r{at}"].trace_line for at in range(7)] == list(range(1, 8))


def test_a_prompt_of_lengths_shares_its_hash_ids(replay_rows: ReplayRows) -> None:
    rows = [
        {"input_length": 96, "hash_ids": ids, "block_size": 32, "output_length": 2, "timestamp": t}
        for t, ids in ((0.0, [1, 2, 3]), (5.0, [1, 2, 9]), (10.0, [4, 2, 3]))
    ]
    run = replay_rows(rows)
    assert [run.requests[f"r{at}"].cached_tokens for at in range(3)] == [0, 64, 0]
    assert run.summary["prefix_cache_hit_rate"] == pytest.approx(64 / 288)


def test_what_is_too_long_is_refused_and_counted(
    replay_rows: ReplayRows, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [
        {"input_length": 20, "output_length": 3, "timestamp": 0.0},
        {"input_length": 2048, "output_length": 3, "timestamp": 0.1, "session_id": "a"},
        {"input_length": 20, "output_length": 3, "session_id": "a", "think_time": 1.0},
        {"input_length": 2040, "output_length": 30, "timestamp": 3.0},
    ]
    run = replay_rows(rows)
    assert run.summary["refused"] == run.summary["failed"] == 1
    assert run.requests["r1"].finish_reason == "refused"
    assert run.requests["r1"].end_ns is None and run.requests["r1"].output_tokens == 0
    assert run.requests["r2"].arrival_ns > 10**9  # the session goes on
    # What fits is answered up to the model's length.
    assert run.requests["r3"].finish_reason == "length"
    assert run.requests["r3"].output_tokens == 8


def test_preemption_and_conservation(replay_rows: ReplayRows) -> None:
    """More than the blocks hold: requests are preempted, and each still leaves once, whole."""
    rows = [{"input_length": 200, "output_length": 150, "timestamp": 0.01 * at} for at in range(24)]
    run = replay_rows(rows, num_gpu_blocks_override=160)
    assert run.summary["preemptions"] > 0
    assert run.summary["preemptions"] == sum(r.preemptions for r in run.by_end)
    assert run.summary["preemptions"] == sum(len(step.preempted) for step in run.steps)
    assert sorted(run.requests) == sorted(f"r{at}" for at in range(24))
    assert {record.output_tokens for record in run.by_end} == {150}
    assert 0.9 < run.summary["peak_kv_usage"] <= 1


def test_records_agree_with_each_other(replay_rows: ReplayRows) -> None:
    rows = [
        {"input_length": 50 + at, "output_length": 1 + at % 7, "timestamp": 0.03 * at}
        for at in range(40)
    ]
    run = replay_rows(rows)
    ends = [step.start_ns + step.duration_ns for step in run.steps]
    starts = [step.start_ns for step in run.steps]
    assert starts == sorted(starts)
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))
    for id, record in run.requests.items():
        mine = [step for step in run.steps if any(r.id == id for r in step.requests)]
        assert record.first_scheduled_ns == mine[0].start_ns
        assert record.first_token_ns == mine[0].start_ns + mine[0].duration_ns
        assert record.output_tokens == 1 + len(record.itl_ns)
        assert record.end_ns in ends
    assert run.summary["steps"] == len(run.steps)
    assert run.summary["total_output_tokens"] == sum(r.output_tokens for r in run.by_end)


@pytest.mark.parametrize("fast_forward", [False, True])
def test_ctrl_c_leaves_what_was_done(fast_forward: bool, tmp_path: Path) -> None:
    from vllm.engine.arg_utils import EngineArgs

    from vllm.sim.engine.offline import offline_engine
    from vllm.sim.engine.replay_run import Replay, RunOptions, prepare

    rows = [{"input_length": 20, "output_length": 5 + 50 * at} for at in range(4)]
    options = RunOptions(write_trace(tmp_path / "t.jsonl", rows), tmp_path / "run")
    engine_args = EngineArgs(model=str(DEMO_MODEL), sim_latency="constant:step=50ms")
    prepare(engine_args)
    handler = signal.getsignal(signal.SIGINT)
    with options.opened() as source, offline_engine(engine_args, options.context) as engine:
        replay = Replay(engine, options, source, fast_forward)

        class Interrupt:
            def write(self, record: Any) -> None:
                if record.step == 100:
                    os.kill(os.getpid(), signal.SIGINT)

            def close(self) -> None:
                pass

        with engine.core.model_executor.observer.given_to(Interrupt()):
            summary = replay.run()
    assert signal.getsignal(signal.SIGINT) is handler
    assert summary == read_summary(options.out)
    assert not summary["complete"]
    # The stretch in which the third one ends is under way.
    completed = 3 if fast_forward else 2
    assert summary["completed"] == completed and summary["unfinished"] == 4 - completed
    records = list(read_requests(options.out))
    reasons = [record.finish_reason for record in records]
    assert reasons == ["stop"] * completed + ["unfinished"] * (4 - completed)
    assert records[-1].end_ns is None and records[-1].output_tokens > 90
    steps = len(list(read_steps(options.out / "steps.jsonl")))
    assert steps - records[-1].output_tokens in (1, 2)  # on the device
    assert steps > 101 if fast_forward else steps == 101


def test_equal_runs_write_equal_files(tmp_path: Path) -> None:
    """In two processes, started with different hash seeds, through both spellings."""
    rows = [
        {
            "input_length": 64, "hash_ids": [at % 3, 10 + at % 5], "block_size": 32,
            "output_length": 3 + at % 9, "timestamp": 0.02 * at,
        }
        for at in range(60)
    ]  # fmt: skip
    trace = write_trace(tmp_path / "trace.jsonl", rows)
    scripts = Path(sys.executable).parent
    for seed, words in (("1", [scripts / "vllm-sim"]), ("2", [scripts / "vllm", "sim"])):
        subprocess.run(
            [
                *words, "replay", trace, "--model", "traces/demo-model", "--out", tmp_path / seed,
                "--max-num-seqs", "8", "--num-gpu-blocks-override", "200",
                "--max-model-len", "1024", "--sim-device", "h100_sxm",
            ],
            cwd=REPOSITORY, env={**os.environ, "PYTHONHASHSEED": seed}, check=True, timeout=120,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
    for name in ("steps.jsonl", "requests.jsonl"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    one, two = (read_summary(tmp_path / seed) for seed in ("1", "2"))
    assert one.pop("wall_seconds") != two.pop("wall_seconds")
    assert one == two


def test_defaults_are_those_of_the_server_or_of_the_class(replay_rows: ReplayRows) -> None:
    rows = [{"input_length": 4, "output_length": 1}]
    limits = {whose: replay_rows(rows, {"defaults_of": whose}) for whose in ("serve", "llm")}
    assert limits["serve"].summary["max_num_batched_tokens"] == 8192
    assert limits["llm"].summary["max_num_batched_tokens"] == 16384


def test_settings_that_a_replay_has_itself_are_refused(replay_rows: ReplayRows) -> None:
    refused = {"sim_trace_path": "x.jsonl", "sim_time_scale": 2.0, "sim_record": "x"}
    for name, value in refused.items():
        with pytest.raises(SettingsError, match="a replay"):
            replay_rows([{"input_length": 4, "output_length": 1}], **{name: value})
    with pytest.raises(SettingsError, match="--data-parallel-size"):
        replay_rows([{"input_length": 4, "output_length": 1}], data_parallel_size=2)


def test_an_unsorted_trace_is_an_error_before_anything_is_built(tmp_path: Path) -> None:
    from vllm.engine.arg_utils import EngineArgs

    from vllm.sim.engine.replay_run import RunOptions, replay

    rows = [{"input_length": 4, "output_length": 1, "timestamp": t} for t in (1.0, 0.5)]
    trace = write_trace(tmp_path / "t.jsonl", rows)
    with pytest.raises(TraceError, match=r"line 2: timestamp 0\.5 comes after 1\.0"):
        replay(
            EngineArgs(model=str(DEMO_MODEL), max_model_len=10**9),  # would be an error itself
            RunOptions(trace, tmp_path / "run"),
        )


def test_the_headers_kv_cache_is_the_engines(tmp_path: Path) -> None:
    from vllm.engine.arg_utils import EngineArgs

    from vllm.sim.engine.replay_run import RunOptions, replay

    header = {"vllm_sim_trace": 1, "block_size": 32, "num_gpu_blocks": 100}
    trace = write_trace(tmp_path / "t.jsonl", [header, {"input_length": 4, "output_length": 1}])
    engine_args = EngineArgs(model=str(DEMO_MODEL), max_model_len=1024)
    summary = replay(engine_args, RunOptions(trace, tmp_path / "run"))
    assert (summary["num_gpu_blocks"], summary["block_size"]) == (200, 16)


def test_help_needs_no_vllm(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("replay", "record"):
        with pytest.raises(SystemExit) as exit_info:
            main([verb, "--help"])
        assert exit_info.value.code == 0
        text = capsys.readouterr().out
        assert "--max-concurrency" in text and "engine arguments" in text
