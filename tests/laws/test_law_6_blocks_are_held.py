"""Law 6: requests hold their KV blocks for as long as they would on the device."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.engines import core_of, running_engine
from support.script import Add, drive
from support.traces import write_trace
from support.virtual_time import VirtualTimeExecutor

from vllm.sim.step_log import read_steps

pytestmark = pytest.mark.engine

STEP_S = 0.020
SMALL = {"block_size": 4, "num_gpu_blocks_override": 20, "max_model_len": 48}


@pytest.mark.parametrize("async_scheduling", [False, True], ids=["sync", "async"])
def test_law_6_blocks_are_free_when_the_last_step_is_done_and_no_sooner(
    model: Path, tmp_path: Path, async_scheduling: bool
) -> None:
    """Each time the number of free blocks is looked at, the time is written down with it."""
    prompt, answer = list(range(300, 310)), list(range(900, 907))
    trace = write_trace(
        tmp_path / "trace.jsonl", [{"prompt_token_ids": prompt, "response_token_ids": answer}]
    )
    with running_engine(
        model, trace=trace, async_scheduling=async_scheduling,
        sim_latency=f"constant:step={STEP_S}", sim_step_log=str(tmp_path),
        distributed_executor_backend=VirtualTimeExecutor, **SMALL,
    ) as engine:  # fmt: skip
        core = core_of(engine)
        pool, clock = core.scheduler.kv_cache_manager.block_pool, core.model_executor.clock
        held: list[tuple[int, int]] = []  # (time, blocks in use) after each step of the engine
        step = engine.step

        def stepped() -> list[object]:
            outputs = step()
            held.append((clock.now_ns(), pool.num_gpu_blocks - 1 - pool.get_num_free_blocks()))
            return outputs

        engine.step = stepped
        drive(engine, {0: [Add("a", prompt, {"max_tokens": len(answer)})]})
    log = list(read_steps(tmp_path / "steps.jsonl"))
    assert len(log) == len(answer)  # the limit ends it, and that is no surprise to anyone
    last_done_ns = log[-1].start_ns + log[-1].duration_ns
    assert last_done_ns == round(len(answer) * STEP_S * 1e9)
    for at_ns, blocks in held:
        assert (blocks > 0) == (at_ns < last_done_ns)
    # While it runs it holds what its computed tokens need, in whole blocks.
    for record in log:
        (request,) = record.requests
        tokens = request.computed_tokens + request.new_tokens
        assert record.used_blocks == -(-tokens // 4)


def test_law_6_a_result_is_pending_until_the_device_is_done(model: Path, tmp_path: Path) -> None:
    """With asynchronous scheduling the next step is scheduled meanwhile; nothing is delivered."""
    prompt = list(range(300, 310))
    trace = write_trace(
        tmp_path / "trace.jsonl", [{"prompt_token_ids": prompt, "response_token_ids": [7, 8, 9]}]
    )
    with running_engine(
        model, trace=trace, async_scheduling=True, sim_latency=f"constant:step={STEP_S}",
        distributed_executor_backend=VirtualTimeExecutor, **SMALL,
    ) as engine:  # fmt: skip
        core = core_of(engine)
        executor = core.model_executor
        pending: list[tuple[bool, int]] = []  # is it done when it is asked for, and at what time
        sample_tokens = executor.sample_tokens

        def sampled(grammar: object, non_block: bool = False) -> object:
            future = sample_tokens(grammar, non_block)
            pending.append((future.done(), executor.clock.now_ns()))
            return future

        executor.sample_tokens = sampled
        drive(engine, {0: [Add("a", prompt, {"max_tokens": 3})]})
    step_ns = round(STEP_S * 1e9)
    # The second is handed over at time 0 too, while the first runs.
    assert pending == [(False, 0), (False, 0), (False, step_ns)]
