"""Production layouts, unchanged on a laptop: TP, PP, quantization, LoRA flags."""

from __future__ import annotations

from itertools import pairwise

import pytest
from support.paths import DEMO_MODEL
from support.traces import write_trace
from vllm import LLM, SamplingParams

from vllm.sim.step_log import read_steps

pytestmark = pytest.mark.engine

PROMPTS = ["Hello", "Hi"]
ANSWERS = [" world! It is good to see you again.", " there, nice to meet you at last."]
STEP_NS = 40_000_000


@pytest.fixture
def trace(tmp_path):
    rows = [{"prompt": p, "response": a} for p, a in zip(PROMPTS, ANSWERS, strict=True)]
    return write_trace(tmp_path / "trace.jsonl", rows)


def run(trace, log, **arguments):
    llm = LLM(
        model=str(DEMO_MODEL), use_simulator=True, sim_trace_path=str(trace),
        sim_latency="constant:step=40ms", sim_step_log=str(log), **arguments,
    )  # fmt: skip
    outputs = llm.generate(PROMPTS, SamplingParams(max_tokens=5))
    assert all(
        answer.startswith(output.outputs[0].text)
        for output, answer in zip(outputs, ANSWERS, strict=True)
    )
    return llm, list(read_steps(log / "steps.jsonl"))


@pytest.mark.parametrize(
    "arguments",
    [
        {"tensor_parallel_size": 8},
        {"tensor_parallel_size": 2, "pipeline_parallel_size": 2},
        {"kv_cache_dtype": "fp8", "max_model_len": -1},
        {"enable_lora": True, "max_lora_rank": 32},
        {"quantization": "fp8"},
    ],
    ids=lambda arguments: "-".join(arguments),
)
def test_a_layout_resolves_and_answers(trace, tmp_path, arguments):
    llm, steps = run(trace, tmp_path, **arguments)
    config = llm.llm_engine.vllm_config
    assert config.scheduler_config.async_scheduling
    assert config.cache_config.num_gpu_blocks > 10_000
    # Five tokens of both requests: five steps, each after the one before it.
    assert [step.start_ns - steps[0].start_ns for step in steps] == [n * STEP_NS for n in range(5)]


def test_more_ranks_hold_more_blocks(trace, tmp_path):
    blocks = [
        run(trace, tmp_path, tensor_parallel_size=size)[
            0
        ].llm_engine.vllm_config.cache_config.num_gpu_blocks
        for size in (1, 2, 8)
    ]
    assert blocks[0] * 2 < blocks[1] and blocks[1] * 3 < blocks[2]


def test_a_pipeline_has_as_many_steps_in_flight_as_a_real_one(trace, tmp_path):
    """Two requests that arrive apart take turns: one is in each stage."""
    llm = LLM(
        model=str(DEMO_MODEL), use_simulator=True, sim_trace_path=str(trace),
        sim_latency="constant:step=40ms", sim_step_log=str(tmp_path), pipeline_parallel_size=2,
    )  # fmt: skip
    engine = llm.llm_engine
    assert engine.vllm_config.max_concurrent_batches == 3
    params = SamplingParams(max_tokens=6)
    engine.add_request("first", "Hello", params)
    engine.step()
    engine.add_request("second", "Hi", params)
    while engine.has_unfinished_requests():
        engine.step()
    steps = list(read_steps(tmp_path / "steps.jsonl"))
    alone = [step.requests[0].id.partition("-")[0] for step in steps]
    assert all(len(step.requests) == 1 for step in steps)
    assert alone[:6] == ["first", "second"] * 3
    gaps = [after.start_ns - step.start_ns for step, after in pairwise(steps[1:])]
    assert sum(gaps[:4]) == pytest.approx(4 * STEP_NS / 2, rel=0.1)
