"""``LLM`` and the engine arguments in one process: modes, misses, and the real engine beside it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support.models import save_tiny_llama
from support.paths import DEMO_MODEL
from support.traces import write_trace
from vllm import LLM, EngineArgs, SamplingParams
from vllm.exceptions import VLLMValidationError
from vllm.platforms import current_platform
from vllm.platforms.cpu import CpuPlatform

from vllm.sim.errors import DeviceError, SettingsError, TraceError

pytestmark = pytest.mark.engine

SMALL = {"max_model_len": 256, "num_gpu_blocks_override": 64}


@pytest.fixture
def trace(tmp_path):
    return write_trace(tmp_path / "trace.jsonl", [{"prompt": "Hello", "response": " world!"}])


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    return save_tiny_llama(tmp_path_factory.mktemp("tiny"))


def simulated(trace, **arguments) -> LLM:
    return LLM(
        model=str(DEMO_MODEL), use_simulator=True,
        sim_trace_path=None if trace is None else str(trace), **{**SMALL, **arguments},
    )  # fmt: skip


def text_of(llm: LLM, prompt, **params) -> str:
    return llm.generate(prompt, SamplingParams(**{"max_tokens": 100, **params}))[0].outputs[0].text


def test_echo_gives_the_prompt_back(trace):
    llm = simulated(trace, sim_on_miss="echo")
    assert text_of(llm, "Hello") == " world!"
    assert text_of(llm, "Nobody recorded this 🎉.") == "Nobody recorded this 🎉."
    chat = llm.chat([{"role": "user", "content": "Hi you"}], SamplingParams(max_tokens=100))
    assert "Hi you" in chat[0].outputs[0].text


def test_synthetic_answers_depend_on_prompt_and_seed_alone(trace):
    llm = simulated(trace, sim_on_miss="synthetic")
    first, again, other = (text_of(llm, prompt) for prompt in ("One", "One", "Two"))
    assert first == again != other
    assert text_of(simulated(None, sim_on_miss="synthetic"), "One") == first
    assert text_of(simulated(None, sim_on_miss="synthetic", seed=1), "One") != first


def test_a_request_that_brings_its_tokens_gets_them(trace):
    llm = simulated(trace)
    params = SamplingParams(trace_decode_token_ids=[70, 71, 72], max_tokens=10)
    output = llm.generate("not recorded", params)[0].outputs[0]
    assert (list(output.token_ids), output.finish_reason) == ([70, 71, 72], "length")


def test_a_context_that_is_full_ends_with_length(tmp_path):
    trace = write_trace(
        tmp_path / "long.jsonl",
        [{"prompt_token_ids": [70] * 250, "response_token_ids": [80] * 50}],
    )
    output = (
        simulated(trace)
        .generate({"prompt_token_ids": [70] * 250}, SamplingParams(max_tokens=100))[0]
        .outputs[0]
    )
    assert (len(output.token_ids), output.finish_reason) == (6, "length")


def test_asked_for_scores(trace):
    params = SamplingParams(logprob_token_ids=[5, 6], max_tokens=2)
    output = simulated(trace).generate("Hello", params)[0].outputs[0]
    assert set(output.logprobs[0]) == {5, 6, output.token_ids[0]}
    scored = SamplingParams(prompt_logprobs=1, max_tokens=1)
    result = simulated(trace).generate("Hello", scored)[0]
    assert result.prompt_logprobs[0] is None
    assert result.prompt_logprobs[1][result.prompt_token_ids[1]].logprob == 0.0


@pytest.mark.real_model
def test_real_simulated_and_real_again_in_one_process(tiny_model, tmp_path):
    def real_tokens() -> list[int]:
        llm = LLM(model=str(tiny_model), dtype="bfloat16", enforce_eager=True,
                  kv_cache_memory_bytes=1 << 26, max_model_len=256)  # fmt: skip
        params = SamplingParams(max_tokens=8, temperature=0, ignore_eos=True)
        tokens = list(llm.generate("Hello", params)[0].outputs[0].token_ids)
        assert "Sim" not in type(llm.llm_engine.model_executor).__name__
        return tokens

    before = real_tokens()
    assert type(current_platform) is CpuPlatform
    trace = write_trace(tmp_path / "t.jsonl", [{"prompt": "Hello", "response": " world!"}])
    assert text_of(simulated(trace), "Hello") == " world!"
    assert type(current_platform) is not CpuPlatform
    assert real_tokens() == before
    assert type(current_platform) is CpuPlatform


@pytest.mark.parametrize(
    "statement",
    [
        "from vllm import LLM",
        "from vllm import EngineArgs",
        "from vllm import AsyncEngineArgs",
        "from vllm import LLMEngine",
        "import vllm.sim.config",
        "import vllm.entrypoints.cli.main, vllm.entrypoints.cli.serve",
        "from vllm.platforms import current_platform; current_platform.device_type",
    ],
)
def test_arguments_exist_in_every_order_of_imports(statement):
    code = f"""
{statement}
import dataclasses
m = {str(DEMO_MODEL)!r}
from vllm import AsyncEngineArgs, EngineArgs
for cls in (EngineArgs, AsyncEngineArgs):
    names = [field.name for field in dataclasses.fields(cls)]
    assert names.count("use_simulator") == names.count("sim_trace_path") == 1, names
    args = cls(model=m, use_simulator=True, sim_trace_path="x", sim_time_scale=2.0)
    assert (args.sim_trace_path, args.sim_time_scale, args.sim_device) == ("x", 2.0, None)
    assert dataclasses.replace(args, sim_device="cpu").sim_trace_path == "x"
    assert cls(model=m) == cls(model=m) and "use_simulator=None" in repr(cls(model=m))
    assert cls(model=m).compilation_config is not cls(model=m).compilation_config
assert AsyncEngineArgs(model=m, enable_log_requests=True).enable_log_requests
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_environment_does_the_same_and_an_argument_wins(trace, tmp_path, monkeypatch):
    other = write_trace(tmp_path / "other.jsonl", [{"prompt": "Hello", "response": " other"}])
    monkeypatch.setenv("VLLM_USE_SIMULATOR", "1")
    monkeypatch.setenv("VLLM_SIM_TRACE_PATH", str(trace))
    assert text_of(LLM(model=str(DEMO_MODEL), **SMALL), "Hello") == " world!"
    llm = LLM(model=str(DEMO_MODEL), sim_trace_path=str(other), **SMALL)
    assert text_of(llm, "Hello") == " other"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"sim_trace_path": None}, SettingsError, "needs a trace"),
        ({"sim_on_miss": "guess"}, SettingsError, "--sim-on-miss must be one of"),
        ({"sim_device": "h1000"}, DeviceError, "h100_sxm"),
        ({"sim_time_scale": 0.0}, SettingsError, "--sim-time-scale"),
        ({"use_simulator": False}, SettingsError, "needs --use-simulator"),
        ({"runner": "pooling"}, SettingsError, "--runner pooling"),
    ],
)
def test_settings_that_make_no_sense_say_so(trace, arguments, error, message):
    given = {"use_simulator": True, "sim_trace_path": str(trace), **arguments}
    with pytest.raises(error, match=message):
        EngineArgs(model=str(DEMO_MODEL), **given).create_engine_config()


def test_a_broken_trace_stops_the_start(tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text('{"prompt": "a", "response": "b"}\n{"prompt": "a"}\n')
    with pytest.raises(TraceError, match=r"bad\.jsonl, line 2: no answer"):
        simulated(path)


def test_vllms_command_line_reports_a_broken_trace_in_one_line(tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text('{"prompt": "a"}\n')
    done = subprocess.run(
        [os.path.join(os.path.dirname(sys.executable), "vllm"), "serve", str(DEMO_MODEL),
         "--use-simulator", "--sim-trace", str(path)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode != 0
    assert done.stderr.strip().splitlines()[-1] == f"vllm: error: {path}, line 1: " + (
        "no answer: one of response, response_token_ids, output_length is needed"
    )
    assert "Traceback" not in done.stderr


def test_a_miss_goes_into_no_engine(trace):
    llm = simulated(trace)
    with pytest.raises(VLLMValidationError):
        llm.generate(["Hello", "Bye"])
    assert llm.llm_engine.get_num_unfinished_requests() == 0
    assert text_of(llm, "Hello") == " world!"
