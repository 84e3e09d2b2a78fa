"""Law 3: the replay cursor follows the position in the output, not a count of calls.

Whole engines with preemptions are in ``test_law_7_conservation``: there each answer is compared
token for token.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.engines import running_engine
from support.script import Add, drive
from support.traces import write_trace

from vllm.sim.trace.cursor import Answer, ReplayCursor

tokens = st.lists(st.integers(10, 99), min_size=1, max_size=12)


@settings(derandomize=True, database=None)
@given(answer=tokens, asked=st.lists(st.integers(0, 40), max_size=40), minimum=st.integers(0, 20))
def test_law_3_a_token_depends_on_its_position_only(
    answer: list[int], asked: list[int], minimum: int
) -> None:
    """In whatever order, and however often, positions are asked for."""
    used, fresh = (ReplayCursor(Answer(answer), end_id=2, min_tokens=minimum) for _ in range(2))
    in_order = [fresh.token_at(position) for position in range(41)]
    assert [used.token_at(position) for position in asked] == [in_order[at] for at in asked]
    assert in_order[: len(answer)] == answer
    end = max(len(answer), minimum)
    assert 2 not in in_order[:end] and in_order[end] == 2


@pytest.mark.engine
@pytest.mark.parametrize("async_scheduling", [False, True], ids=["sync", "async"])
def test_law_3_a_request_preempted_in_mid_answer_goes_on_where_it_was(
    model: Path, tmp_path: Path, async_scheduling: bool
) -> None:
    """Three requests, blocks for one and a half: each is pushed out, and computed again."""
    prompts = [list(range(300 + 20 * at, 309 + 20 * at)) for at in range(3)]
    answers = [list(range(900 + 40 * at, 935 + 40 * at)) for at in range(3)]
    rows = [
        {"prompt_token_ids": prompt, "response_token_ids": answer}
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
    script = {
        0: [Add(f"r{at}", prompt, {"max_tokens": 35}) for at, prompt in enumerate(prompts)],
    }
    with running_engine(
        model, trace=write_trace(tmp_path / "trace.jsonl", rows), block_size=4,
        num_gpu_blocks_override=19, max_model_len=48, enable_prefix_caching=False,
        async_scheduling=async_scheduling,
    ) as engine:  # fmt: skip
        run = drive(engine, script)
    in_mid_answer = {id for step in run.steps for id in step.resumed if 0 < step.outputs[id] < 35}
    assert len(in_mid_answer) >= 2
    for at, answer in enumerate(answers):
        assert run.answers[f"r{at}"].token_ids == answer
