"""The simulator mode end to end in one process: ``LLM`` with a trace and a small KV cache."""

from __future__ import annotations

import pytest
from support.paths import DEMO_MODEL
from support.traces import write_trace
from vllm import LLM, SamplingParams
from vllm.exceptions import VLLMValidationError

pytestmark = pytest.mark.engine

SHARED = "You are a careful assistant who answers in one short sentence and never guesses. " * 3
QUESTIONS = ["What is water?", "What is fire?", "What is air?", "What is earth?"]


def make_llm(trace, **arguments) -> LLM:
    defaults = {"max_model_len": 512, "num_gpu_blocks_override": 300, "disable_log_stats": False}
    return LLM(
        model=str(DEMO_MODEL), use_simulator=True, sim_trace_path=str(trace),
        **{**defaults, **arguments},
    )  # fmt: skip


@pytest.fixture
def trace(tmp_path):
    rows = [
        {"prompt": "Hello", "response": " world!"},
        {"prompt": "Hi", "response": " there, nice to meet you."},
        {"prompt": "StopCase", "response": " hello STOP and more"},
    ]
    rows += [
        {"prompt": SHARED + question, "response": f" {question[8:-1]}."} for question in QUESTIONS
    ]
    return write_trace(tmp_path / "trace.jsonl", rows)


def hit_tokens(llm: LLM) -> int:
    return sum(
        metric.value for metric in llm.get_metrics() if metric.name == "vllm:prefix_cache_hits"
    )


def test_the_three_cases(trace):
    outputs = make_llm(trace).generate(
        ["Hello", "Hi", "StopCase"],
        [SamplingParams(max_tokens=50), SamplingParams(max_tokens=3),
         SamplingParams(max_tokens=50, stop=["STOP"])],
    )  # fmt: skip
    results = [(output.outputs[0].text, output.outputs[0].finish_reason) for output in outputs]
    assert results == [(" world!", "stop"), (" there, n", "length"), (" hello ", "stop")]


@pytest.mark.parametrize("block_size", [2, 16])
@pytest.mark.parametrize("device", ["h100_sxm", "cpu"])
def test_shared_prefixes_hit_the_cache(trace, block_size, device):
    llm = make_llm(trace, block_size=block_size, sim_device=device, sim_latency="instant")
    outputs = [llm.generate(SHARED + question)[0] for question in QUESTIONS]
    assert [output.outputs[0].text for output in outputs] == [
        f" {question[8:-1]}." for question in QUESTIONS
    ]
    assert outputs[0].num_cached_tokens == 0
    shared = len(llm.get_tokenizer().encode(SHARED))
    for output in outputs[1:]:
        # Whole blocks of the shared text, and not more than it.
        assert shared - 2 * block_size <= output.num_cached_tokens <= shared + block_size
        assert output.num_cached_tokens % block_size == 0
    assert hit_tokens(llm) == sum(output.num_cached_tokens for output in outputs) > 0


def test_without_prefix_caching_nothing_is_cached(trace):
    llm = make_llm(trace, enable_prefix_caching=False)
    outputs = llm.generate([SHARED + question for question in QUESTIONS])
    assert [output.num_cached_tokens for output in outputs] == [0] * len(QUESTIONS)
    assert hit_tokens(llm) == 0


def test_sixteen_blocks_of_two_tokens_force_eviction_and_preemption(tmp_path):
    prompts = [[100 + n, 7, 8, 9] for n in range(6)]
    answers = [[200 + n] * 12 for n in range(6)]
    trace = write_trace(
        tmp_path / "small.jsonl",
        [
            {"prompt_token_ids": p, "response_token_ids": a}
            for p, a in zip(prompts, answers, strict=True)
        ],
    )
    llm = make_llm(trace, block_size=2, num_gpu_blocks_override=16, max_model_len=24)
    outputs = llm.generate(
        [{"prompt_token_ids": prompt} for prompt in prompts], SamplingParams(max_tokens=20)
    )
    eos = llm.get_tokenizer().eos_token_id
    assert [list(output.outputs[0].token_ids) for output in outputs] == [
        [*answer, eos] for answer in answers
    ]
    preemptions = sum(
        metric.value for metric in llm.get_metrics() if metric.name == "vllm:num_preemptions"
    )
    assert preemptions > 0


def test_a_prompt_that_was_not_recorded_is_refused_and_the_engine_goes_on(trace):
    llm = make_llm(trace)
    with pytest.raises(VLLMValidationError) as caught:
        llm.generate("Hello there")
    message = str(caught.value)
    assert "'<|bos|>Hello there'" in message and "line 1" in message and "--sim-on-miss" in message
    assert llm.generate("Hello")[0].outputs[0].text == " world!"
