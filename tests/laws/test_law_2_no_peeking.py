"""Law 2: the length of a recorded answer never reaches admission or scheduling."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from support.engines import core_of, running_engine
from support.script import Add, drive
from support.traces import write_trace
from support.watch import Step

pytestmark = pytest.mark.engine

PROMPTS = {"a": range(300, 309), "b": range(350, 353), "c": range(400, 417), "d": range(450, 456)}
ARRIVALS = {"a": 0, "b": 0, "c": 3, "d": 5}
SHORTEST = 8
SMALL = {
    "block_size": 4, "num_gpu_blocks_override": 14, "max_model_len": 48, "max_num_seqs": 3,
    "max_num_batched_tokens": 16,
}  # fmt: skip


def steps(model: Path, trace: Path, **arguments: Any) -> list[Step]:
    script: dict[int, list[Add]] = {}
    for name, at in ARRIVALS.items():
        script.setdefault(at, []).append(Add(name, PROMPTS[name], {"max_tokens": 30}))
    with running_engine(model, trace=trace, **SMALL, **arguments) as engine:
        return drive(engine, script).steps


@pytest.mark.parametrize("async_scheduling", [False, True], ids=["sync", "async"])
def test_law_2_schedules_are_the_same_until_the_first_answer_ends(
    model: Path, tmp_path: Path, async_scheduling: bool
) -> None:
    """Answers that begin alike and go on for 0, 1 or 20 more tokens."""
    seen = []
    for longer in (0, 1, 20):
        rows = [
            {
                "prompt_token_ids": list(prompt),
                "response_token_ids": list(range(900, 900 + SHORTEST + longer)),
            }
            for prompt in PROMPTS.values()
        ]
        trace = write_trace(tmp_path / f"{longer}.jsonl", rows)
        seen.append(steps(model, trace, async_scheduling=async_scheduling))
    shortest = seen[0]
    ends = next(
        at for at, step in enumerate(shortest) if any(g.finish_reason for g in step.delivered)
    )
    assert ends >= SHORTEST
    for other in seen[1:]:
        assert other[:ends] == shortest[:ends]
        assert other != shortest  # the lengths do show, once they are answered


def test_law_2_what_the_scheduler_is_given_holds_no_answer(model: Path, tmp_path: Path) -> None:
    """A request, as the scheduler has it, is the same whatever its answer is."""
    from vllm import SamplingParams

    seen = []
    for answer in ([7], list(range(900, 940))):
        trace = write_trace(
            tmp_path / f"{len(answer)}.jsonl",
            [{"prompt_token_ids": list(PROMPTS["a"]), "response_token_ids": answer}],
        )
        with running_engine(model, trace=trace, **SMALL) as engine:
            engine.add_request(
                "a",
                {"prompt_token_ids": list(PROMPTS["a"])},
                SamplingParams(max_tokens=30),
                arrival_time=0.0,
            )
            request = core_of(engine).scheduler.requests["a"]
            facts = dict(vars(request))
            facts["sampling_params"] = {
                name: getattr(request.sampling_params, name)
                for name in request.sampling_params.__struct_fields__
            }
            seen.append({name: readable(value) for name, value in facts.items()})
            assert request.max_tokens == 30
    assert seen[0] == seen[1]


def readable(value: Any) -> str:
    """Text without memory addresses."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return str({name: readable(one) for name, one in vars(value).items()})
    text = repr(value)
    return type(value).__name__ if " at 0x" in text else text
