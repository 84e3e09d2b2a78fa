"""Fast-forward changes nothing but how often the scheduler is called."""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.paths import DEMO_MODEL
from support.traces import write_trace

from vllm.sim.errors import SimError

pytestmark = pytest.mark.engine

ENGINE: dict[str, Any] = {
    "model": str(DEMO_MODEL), "sim_device": "h100_sxm", "max_model_len": 256, "block_size": 16,
    "num_gpu_blocks_override": 400, "max_num_seqs": 8, "sim_latency": "constant:ttft=30ms,itl=7ms",
}  # fmt: skip
SETUPS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "roomy": ({}, {}),
    "step times that differ": ({"sim_latency": "roofline"}, {"rate_scale": 30.0}),
    "recorded step times": ({"sim_latency": "recorded"}, {}),
    "no time": ({"sim_latency": "instant"}, {}),
    "few blocks": ({"num_gpu_blocks_override": 22}, {}),
    "few blocks, by priority": (
        {"num_gpu_blocks_override": 22, "scheduling_policy": "priority"}, {},
    ),
    "few slots": ({"max_num_seqs": 2}, {}),
    "a watermark": ({"num_gpu_blocks_override": 30, "watermark": 0.2}, {}),
    "30 tokens a step": ({"max_num_batched_tokens": 30}, {}),
    "long prefills cut": ({"long_prefill_token_threshold": 5}, {}),
    "no prefix caching": ({"enable_prefix_caching": False}, {}),
    "two at a time": ({}, {"max_concurrency": 2}),
}  # fmt: skip


@st.composite
def traces(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A few requests in a second or so, some with a beginning in common, some in a session."""
    rows: list[dict[str, Any]] = []
    at_s = 0.0
    for _ in range(draw(st.integers(1, 14))):
        at_s += draw(st.sampled_from([0.0, 0.001, 0.021, 0.13, 0.4]))
        row: dict[str, Any] = {
            "input_length": draw(st.integers(1, 90)),
            "output_length": draw(st.integers(1, 90)),
            "timestamp": round(at_s, 3),
            "priority": draw(st.integers(-1, 1)),
            "ttft": 0.04,
            "itl": draw(st.lists(st.floats(0.001, 0.02), min_size=1, max_size=40)),
        }
        if draw(st.booleans()):
            family = draw(st.integers(0, 2))
            blocks = -(-row["input_length"] // 16)
            row |= {"hash_ids": [10 * family + at for at in range(blocks)], "block_size": 16}
        if draw(st.booleans()):
            row["max_tokens"] = draw(st.integers(1, 90))
        if draw(st.booleans()):
            row["session_id"] = draw(st.integers(0, 1))
            row["think_time"] = draw(st.sampled_from([0.0, 0.05]))
        rows.append(row)
    return rows


class Pair:
    """One engine, and what it does with a trace in both ways."""

    def __init__(self, engine: Any, options: dict[str, Any], folder: Path) -> None:
        self.engine, self._options, self._folder = engine, options, folder
        self.calls: Counter[bool] = Counter()  # of the scheduler, by fast-forward
        self.seen: Counter[str] = Counter()

    def files(self, rows: list[dict[str, Any]], fast_forward: bool) -> dict[str, Any]:
        from vllm.sim.engine.replay_run import Replay, RunOptions

        trace = write_trace(self._folder / "trace.jsonl", rows)
        options = RunOptions(trace, self._folder / f"run-{fast_forward}", **self._options)
        scheduler: Any = self.engine.core.scheduler
        assert self.engine.engine.reset_prefix_cache()
        schedule = scheduler.schedule

        def counted(*args: Any) -> Any:
            self.calls[fast_forward] += 1
            return schedule(*args)

        scheduler.schedule = counted
        try:
            with options.opened() as source:
                summary = Replay(self.engine, options, source, fast_forward).run()
        finally:
            del scheduler.schedule
        self.seen["preemptions"] += summary["preemptions"]
        pool = scheduler.kv_cache_manager.block_pool
        assert pool.get_num_free_blocks() == pool.num_gpu_blocks - 1
        return {
            "steps": (options.out / "steps.jsonl").read_bytes(),
            "requests": (options.out / "requests.jsonl").read_bytes(),
            "summary": {key: summary[key] for key in summary if key != "wall_seconds"},
            # What is cached, in the order in which it will be evicted. Block ids are handed out
            # in another order.
            "cache": [block.block_hash for block in pool.free_block_queue.get_all_free_blocks()],
        }


@contextmanager
def opened_pair(
    folder: Path, arguments: dict[str, Any] | None = None, options: dict[str, Any] | None = None
) -> Iterator[Pair]:
    from vllm.engine.arg_utils import EngineArgs
    from vllm.usage.usage_lib import UsageContext

    from vllm.sim.engine.offline import offline_engine
    from vllm.sim.engine.replay_run import prepare

    engine_args = EngineArgs(**{**ENGINE, **(arguments or {})})
    prepare(engine_args)
    with offline_engine(engine_args, UsageContext.OPENAI_API_SERVER) as engine:
        yield Pair(engine, options or {}, folder)


@pytest.fixture(scope="module", params=SETUPS.values(), ids=SETUPS.keys())
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    with opened_pair(tmp_path_factory.mktemp("pair"), *request.param) as pair:
        yield pair


def test_the_same_bytes(pair: Pair, request: pytest.FixtureRequest) -> None:
    @settings(
        max_examples=25, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(traces())
    def same(rows: list[dict[str, Any]]) -> None:
        assert pair.files(rows, True) == pair.files(rows, False)

    same()
    assert pair.calls[True] < pair.calls[False]
    if "few blocks" in request.node.callspec.id:
        assert pair.seen["preemptions"]


def test_long_answers_take_a_call_in_dozens_of_steps(tmp_path: Path) -> None:
    rows = [{"input_length": 10, "output_length": 200 + at, "timestamp": 0.0} for at in range(4)]
    with opened_pair(tmp_path) as pair:
        assert pair.files(rows, True) == pair.files(rows, False)
    assert pair.calls[False] > 200 and pair.calls[True] < 30


def test_arrivals_that_find_all_slots_taken_do_not_stop_it(tmp_path: Path) -> None:
    """They only queue; those too long for the model are refused, and their session goes on."""
    rows = [{"input_length": 10, "output_length": 200, "timestamp": 0.0} for _ in range(8)]
    rows += [
        {
            "input_length": 10 if at % 5 else 256, "output_length": 3, "timestamp": 0.5 + at / 100,
            "session_id": at // 5, **({"think_time": 0.013} if at % 5 == 1 else {}),
        }
        for at in range(60)
    ]  # fmt: skip
    with opened_pair(tmp_path) as pair:
        seen = pair.files(rows, True)
        assert seen == pair.files(rows, False)
    assert seen["summary"]["refused"] == 12 and seen["summary"]["peak_waiting"] > 20
    assert pair.calls[True] < pair.calls[False] / 3


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"async_scheduling": False}, "the scheduler is Scheduler"),
        ({"pipeline_parallel_size": 2}, "in a pipeline"),
    ],
)
def test_where_it_is_not_possible_the_log_says_why(
    arguments: dict[str, Any], reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{"input_length": 10, "output_length": 50}]
    with (
        opened_pair(tmp_path, arguments) as pair,
        caplog.at_level(logging.INFO, logger="vllm.sim.replay"),
    ):
        assert pair.files(rows, True) == pair.files(rows, False)
    assert pair.calls[True] == pair.calls[False]
    assert reason in caplog.text


def test_a_scheduler_that_decides_otherwise_is_an_error(tmp_path: Path) -> None:
    rows = [{"input_length": 10, "output_length": 50}, {"input_length": 10, "output_length": 50}]
    with opened_pair(tmp_path) as pair:
        scheduler: Any = pair.engine.core.scheduler
        give = scheduler.update_draft_token_ids

        def fewer(drafts: Any) -> None:
            fewer_ids = [ids[:-1] for ids in drafts.draft_token_ids]
            give(dataclasses.replace(drafts, draft_token_ids=fewer_ids))

        scheduler.update_draft_token_ids = fewer
        with pytest.raises(SimError, match="--no-fast-forward"):
            pair.files(rows, True)
