"""The configuration resolves as it would on the device."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from published_models import LLAMA_31_8B, TOY, resolve
from vllm import platforms
from vllm.config import set_current_vllm_config
from vllm.engine.arg_utils import EngineArgs
from vllm.platforms.cpu import CpuPlatform
from vllm.platforms.interface import DeviceCapability, PlatformEnum
from vllm.usage.usage_lib import UsageContext
from vllm.v1.attention.selector import get_attn_backend

from vllm.sim.devices.load import load_device
from vllm.sim.engine import platform
from vllm.sim.errors import DeviceError, UpstreamMovedError
from vllm.sim.hooks import gpu_kernels

LLM, SERVER = UsageContext.LLM_CLASS, UsageContext.OPENAI_API_SERVER

# Derived from vLLM 0.32's source. Batch limits, EngineArgs.get_batch_defaults: by memory (70
# and 160 GiB), and "a100" in the name. Largest capture size, VllmConfig._set_cudagraph_sizes:
# the smaller of 2 x max_num_seqs and 512, or 1024 on capability 10.
DEFAULTS = [
    # device, LLM tokens, seqs, server tokens, seqs, largest capture
    ("h100_sxm", 16384, 1024, 8192, 1024, 512),
    ("h200_sxm", 16384, 1024, 8192, 1024, 512),
    ("b200_sxm", 16384, 1024, 16384, 1024, 1024),
    ("a100_sxm", 8192, 256, 2048, 256, 512),
    ("l40s", 8192, 256, 2048, 256, 512),
    ("rtx_pro_6000_server", 16384, 1024, 8192, 1024, 512),
    ("rtx_4090", 8192, 256, 2048, 256, 512),
]


@pytest.mark.parametrize(
    ("device", "llm_tokens", "llm_seqs", "server_tokens", "server_seqs", "capture"), DEFAULTS
)
def test_defaults_are_those_of_the_device(
    simulate, folder_of, device, llm_tokens, llm_seqs, server_tokens, server_seqs, capture
):
    simulate(device)
    model = folder_of(LLAMA_31_8B)
    tokens_of, seqs_of = EngineArgs.get_batch_defaults(world_size=1)  # upstream's own answer
    for context, tokens, seqs in [
        (LLM, llm_tokens, llm_seqs),
        (SERVER, server_tokens, server_seqs),
    ]:
        assert (tokens_of[context], seqs_of[context]) == (tokens, seqs)
        config = resolve(model, context)
        assert config.scheduler_config.max_num_batched_tokens == tokens
        assert config.scheduler_config.max_num_seqs == seqs
        assert config.scheduler_config.async_scheduling is True
        assert config.scheduler_config.enable_chunked_prefill is True
        assert config.scheduler_config.disable_hybrid_kv_cache_manager is False
        assert config.cache_config.block_size == 16
        assert config.cache_config.enable_prefix_caching is True
        assert config.compilation_config.cudagraph_mode.name == "FULL_AND_PIECEWISE"
        sizes = config.compilation_config.cudagraph_capture_sizes
        assert sizes[:4] == [1, 2, 4, 8]
        assert sizes[-1] == capture
        assert config.use_v2_model_runner
        assert config.parallel_config.distributed_executor_backend == platform.EXECUTOR


def test_capabilities_are_those_of_the_device(simulate):
    simulate("rtx_4090")
    current = platforms.current_platform
    assert current.get_device_capability() == DeviceCapability(8, 9)
    assert current.supports_fp8()
    assert not current.support_deep_gemm()
    assert current.get_device_total_memory() == load_device("rtx_4090").memory_bytes
    simulate("a100_sxm")
    assert current.get_device_capability() == DeviceCapability(8, 0)
    assert not current.supports_fp8()


@pytest.mark.parametrize(
    "arguments",
    [
        {"tensor_parallel_size": 8},
        {"pipeline_parallel_size": 2},
        {"tensor_parallel_size": 2, "pipeline_parallel_size": 2},
        {"kv_cache_dtype": "fp8"},
        {"enable_lora": True, "max_loras": 4},
        {"max_model_len": -1},
        {"quantization": "fp8_per_tensor"},
        {"enable_sleep_mode": True},
        {"enforce_eager": True},
    ],
    ids=lambda arguments: ",".join(arguments),
)
def test_production_arguments_are_accepted(simulate, folder_of, arguments):
    simulate("h100_sxm")
    config = resolve(folder_of(LLAMA_31_8B), **arguments)
    assert config.cache_config.block_size == 16
    assert config.scheduler_config.async_scheduling is True
    assert config.use_v2_model_runner
    assert config.parallel_config.distributed_executor_backend == platform.EXECUTOR


def test_mixture_of_experts_over_data_parallel_ranks(simulate, folder_of, real_config):
    simulate("h100_sxm")
    config = resolve(
        folder_of(real_config("Qwen--Qwen3-30B-A3B")),
        data_parallel_size=2,
        enable_expert_parallel=True,
    )
    assert config.parallel_config.data_parallel_size == 2
    assert config.scheduler_config.max_num_batched_tokens == 8192


@pytest.mark.parametrize("context", [LLM, SERVER])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"tensor_parallel_size": 8},
        {"tensor_parallel_size": 2, "pipeline_parallel_size": 2},
        {"kv_cache_dtype": "fp8"},
        {"enable_lora": True},
        {"performance_mode": "throughput"},
    ],
    ids=lambda arguments: ",".join(arguments) or "defaults",
)
@pytest.mark.parametrize("device", ["h100_sxm", "b200_sxm", "rtx_4090"])
def test_every_field_is_what_upstreams_cuda_path_gives(
    simulate, folder_of, device, arguments, context
):
    """The platform is out of tree to vLLM; where it says that it is CUDA, nothing differs."""
    simulate(device)
    model = folder_of(LLAMA_31_8B)
    ours = resolve(model, context, **arguments)
    with platform.identity(PlatformEnum.CUDA):
        cuda = resolve(model, context, **arguments)
    for part in vars(cuda):
        if part != "instance_id" and hasattr(vars(cuda)[part], "__dict__"):
            assert vars_of(ours, part) == vars_of(cuda, part), part


def test_pipeline_stages_fill_a_batch_queue(simulate, folder_of):
    """Model runner V2 keeps one batch more in flight than there are stages."""
    simulate("h100_sxm")
    config = resolve(folder_of(LLAMA_31_8B), pipeline_parallel_size=2)
    assert config.max_concurrent_batches == 3


def test_an_executor_class_of_the_user_stays(simulate, folder_of):
    from vllm.v1.executor.uniproc_executor import UniProcExecutor

    class Mine(UniProcExecutor):
        pass

    simulate("h100_sxm")
    config = resolve(folder_of(TOY), distributed_executor_backend=Mine)
    assert config.parallel_config.distributed_executor_backend is Mine


def test_what_the_device_cannot_do_is_refused(simulate, folder_of):
    simulate("h100_sxm")
    volta = dataclasses.replace(
        load_device("h100_sxm"), name="v100", device_name="V100", compute_capability=(7, 0)
    )
    platform.activate(volta)
    with pytest.raises(ValueError, match=r"Your V100 GPU has compute capability 7\.0"):
        resolve(folder_of(LLAMA_31_8B), dtype="bfloat16")


def test_the_cpu_device_resolves_as_the_cpu(simulate, folder_of):
    model = folder_of(TOY)
    for context in (LLM, SERVER):
        real = resolve(model, context)
        simulate("cpu")
        simulated = resolve(model, context)
        platform.deactivate()
        assert simulated.cache_config.block_size == real.cache_config.block_size == 128
        assert simulated.scheduler_config.async_scheduling is False
        for part in ("cache_config", "scheduler_config", "model_config", "compilation_config"):
            assert vars_of(simulated, part) == vars_of(real, part)
        assert simulated.parallel_config.distributed_executor_backend == platform.EXECUTOR
        assert simulated.parallel_config.worker_cls == real.parallel_config.worker_cls


def vars_of(config, part):
    """Fields by their printed form: many hold objects that compare by identity."""
    printed = {name: repr(value) for name, value in vars(vars(config)[part]).items()}
    return {name: text for name, text in printed.items() if " at 0x" not in text}


def test_switching_comes_and_goes(simulate, folder_of):
    current = platforms.current_platform
    host = type(current)
    model = folder_of(TOY)
    real = resolve(model)
    flags = {key: vars_at(key) for key in watched()}
    for device in ("h100_sxm", "h100_sxm", "cpu", "rtx_4090"):
        simulate(device)
        assert platform.active_device().name == device
        assert platforms.current_platform is current  # the object that modules hold
    vars(current)["_enum"] = current._enum  # as an executor leaves it at shutdown
    platform.deactivate()
    platform.deactivate()
    assert type(current) is host
    assert "_enum" not in vars(current)
    assert platform.active_device() is None
    assert {key: vars_at(key) for key in watched()} == flags
    again = resolve(model)
    assert again.cache_config.block_size == real.cache_config.block_size
    assert again.scheduler_config == real.scheduler_config


def watched():
    return [(module, name) for module, name, _ in gpu_kernels._PRESENT] + [
        ("vllm.config.vllm", "HAS_TRITON")
    ]


def vars_at(key):
    return gpu_kernels._namespace(key[0])[key[1]]


def test_a_device_without_capability_must_be_the_cpu():
    class Odd:
        name = "abacus"
        compute_capability = None

    with pytest.raises(DeviceError, match="abacus has no compute_capability"):
        platform.activate(Odd())
    assert platform.active_device() is None


def test_a_misspelt_override_is_found():
    class Misspelt(CpuPlatform):
        def get_device_nane(self):
            return ""

    with pytest.raises(UpstreamMovedError, match="get_device_nane"):
        platform._check_overrides(Misspelt)


# What upstream chooses on a GPU, from its priority list and its backends' own rules.
BACKENDS = [
    # device, model's KV cache dtype, backend
    ("h100_sxm", "auto", "FLASH_ATTN"),
    ("h100_sxm", "fp8", "FLASH_ATTN"),  # FlashAttention 3 reads fp8
    ("b200_sxm", "auto", "FLASHINFER"),
    ("a100_sxm", "auto", "FLASH_ATTN"),
    ("a100_sxm", "fp8", "FLASHINFER"),  # FlashAttention 2 does not
    ("rtx_4090", "auto", "FLASH_ATTN"),
]


@pytest.mark.parametrize(("device", "cache_dtype", "backend"), BACKENDS)
def test_the_attention_backend_is_the_gpus(simulate, folder_of, device, cache_dtype, backend):
    def chosen(cache_dtype):
        with set_current_vllm_config(resolve(folder_of(TOY), kv_cache_dtype=cache_dtype)):
            return get_attn_backend(128, torch.bfloat16, cache_dtype).get_name()

    simulate(device)
    assert chosen(cache_dtype) == backend
    simulate("cpu")  # a choice is remembered for one device only
    assert chosen("auto") == "CPU_ATTN"
