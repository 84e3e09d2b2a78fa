"""Law 7: every request that enters leaves exactly once, and every block allocated is freed.

With it, on the same random traffic: law 3, no token is lost or repeated, and law 6, blocks are
held while they are needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.engines import core_of, running_engine
from support.script import Run, drive

from .traffic import BLOCK, EOS, MAX_MODEL_LEN, Request, requests, script_of

pytestmark = pytest.mark.engine

# 12 blocks are one request of the longest kind, so the small caches preempt.
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "roomy": {"num_gpu_blocks_override": 80},
    "few blocks": {"num_gpu_blocks_override": 14},
    "few blocks, 7 tokens a step": {"num_gpu_blocks_override": 14, "max_num_batched_tokens": 7},
    "few blocks, no prefix caching": {
        "num_gpu_blocks_override": 13,
        "enable_prefix_caching": False,
    },
    "few blocks, by priority": {"num_gpu_blocks_override": 14, "scheduling_policy": "priority"},
    "async, few blocks": {"num_gpu_blocks_override": 14, "async_scheduling": True},
    # A simulated GPU has model runner V2, which is sent other data of the same decisions.
    "GPU, few blocks": {"sim_device": "h100_sxm", "block_size": 16, "num_gpu_blocks_override": 5},
    "GPU, async, few blocks": {
        "sim_device": "h100_sxm",
        "block_size": 16,
        "num_gpu_blocks_override": 5,
        "async_scheduling": True,
    },
    "async, by priority, 9 tokens a step": {
        "num_gpu_blocks_override": 16,
        "async_scheduling": True,
        "scheduling_policy": "priority",
        "max_num_batched_tokens": 9,
    },
}


preempted: Counter[str] = Counter()  # over all examples of a configuration


@pytest.fixture(scope="module", params=CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())
def engine(request: pytest.FixtureRequest, model: Path, traffic_trace: Path) -> Iterator[Any]:
    arguments = {
        "block_size": BLOCK, "max_model_len": MAX_MODEL_LEN, "max_num_seqs": 6,
        "max_num_batched_tokens": 64, **request.param,
    }  # fmt: skip
    preempted.clear()
    with running_engine(model, trace=traffic_trace, **arguments) as engine:
        yield engine


@settings(
    derandomize=True, database=None, deadline=None, max_examples=120,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
@given(drawn=st.lists(requests(), min_size=1, max_size=14))
def test_random_traffic(engine: Any, drawn: list[Request]) -> None:
    scheduler = core_of(engine).scheduler
    assert engine.reset_prefix_cache()  # every example from the same start
    run = drive(engine, script_of(drawn, by_priority=scheduler.policy.value == "priority"))
    check_conservation(run, drawn)
    check_answers(run, drawn)
    check_limits(run, scheduler)
    check_blocks(run, scheduler)
    preempted.update(id for step in run.steps for id in step.preempted)


def test_random_traffic_preempts(engine: Any) -> None:
    """Else law 3 was not put to the test."""
    few = core_of(engine).scheduler.kv_cache_manager.block_pool.num_gpu_blocks < 20
    assert bool(preempted) == few


def check_conservation(run: Run, drawn: Sequence[Request]) -> None:
    """Entered once, left once: by its last token, or by its abort."""
    ended = Counter(id for step in run.steps for id in step.finished)
    last_tokens = Counter(
        given.id for step in run.steps for given in step.delivered if given.finish_reason
    )
    for number, request in enumerate(drawn):
        id = f"r{number}"
        # One that left before the scheduler first looked is told to the executor all the same.
        assert ended.pop(id) == 1
        if request.leaves_after is None:
            assert last_tokens[id] == 1
        else:
            assert last_tokens[id] <= 1
        left_at = next(at for at, step in enumerate(run.steps) if id in step.finished)
        for step in run.steps[left_at:]:
            assert id not in {*step.scheduled, *step.running, *step.waiting}
    assert not ended


def check_answers(run: Run, drawn: Sequence[Request]) -> None:
    """Token for token what was recorded, under the rules for ending."""
    for number, request in enumerate(drawn):
        id = f"r{number}"
        said = [
            token
            for step in run.steps
            for given in step.delivered
            if given.id == id
            for token in given.token_ids
        ]
        whole = request.whole_answer()
        if request.leaves_after is None:
            assert said == whole
            assert run.answers[id].token_ids == whole
            assert run.answers[id].finish_reason == ("stop" if whole[-1] == EOS else "length")
        else:
            assert said == whole[: len(said)]


def check_limits(run: Run, scheduler: Any) -> None:
    for step in run.steps:
        assert sum(step.scheduled.values()) <= scheduler.max_num_scheduled_tokens
        assert len(step.running) <= scheduler.max_num_running_reqs


def check_blocks(run: Run, scheduler: Any) -> None:
    """Every block is either free or in a table; a running request's table covers its tokens;
    in the end all are free."""
    total = scheduler.kv_cache_manager.block_pool.num_gpu_blocks
    everything = set(range(1, total))  # block 0 is vLLM's null block
    for step in run.steps:
        in_tables = {block for (table,) in step.tables.values() for block in table}
        assert len(step.free) == len(set(step.free))
        assert in_tables.isdisjoint(step.free)
        assert in_tables | set(step.free) == everything
        references = Counter(block for (table,) in step.tables.values() for block in table)
        assert all(step.blocks[block][0] == references[block] for block in everything)
        for id, tokens in step.scheduled.items():
            (table,) = step.tables[id]
            assert len(table) * scheduler.block_size >= step.computed[id] + tokens
    assert not scheduler.running and not list(scheduler.waiting) and not scheduler.requests
    free = scheduler.kv_cache_manager.block_pool.free_block_queue.get_all_free_blocks()
    assert {block.block_id for block in free} == everything
    assert all(block.ref_cnt == 0 for block in free)
