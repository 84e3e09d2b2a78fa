"""The configuration of a recorded engine, as engine arguments that give it again."""

from __future__ import annotations

from typing import Any

import vllm
from vllm.config import VllmConfig

from ..errors import RecordingError
from ..trace.schema import FORMAT_VERSION, TraceHeader

_DEVICE_TYPE = "device_type"  # "cpu" or "cuda"


def header_of(config: VllmConfig) -> TraceHeader:
    """The first line of a recorded trace."""
    return TraceHeader(
        vllm_sim_trace=FORMAT_VERSION,
        block_size=config.cache_config.block_size,
        num_gpu_blocks=config.cache_config.num_gpu_blocks,
        model=config.model_config.model,
        vllm_version=vllm.__version__,
        config=_engine_arguments(config),
        provenance={
            "tool": "vllm sim record",
            _DEVICE_TYPE: config.device_config.device_type,
        },
    )


def recorded_arguments(header: TraceHeader | None, trace: str) -> dict[str, Any]:
    """Engine arguments for a simulated engine with the recorded configuration.

    Raises:
        RecordingError: The trace does not say what it was recorded on.
    """
    if header is None or header.config is None or header.model is None:
        raise RecordingError(
            f"{trace}: no header with the recorded configuration: record it with vllm sim record"
        )
    recorded_by = header.provenance if isinstance(header.provenance, dict) else {}
    return {
        "model": header.model,
        **header.config,
        "num_gpu_blocks_override": header.num_gpu_blocks,
        "sim_device": "cpu" if recorded_by.get(_DEVICE_TYPE) == "cpu" else None,
    }


def _engine_arguments(config: VllmConfig) -> dict[str, Any]:
    """What decides how requests are scheduled, after vLLM has resolved it."""
    model, cache = config.model_config, config.cache_config
    scheduler, parallel = config.scheduler_config, config.parallel_config
    return {
        "tokenizer": model.tokenizer,
        "skip_tokenizer_init": model.skip_tokenizer_init,
        "dtype": str(model.dtype).removeprefix("torch."),
        "seed": model.seed,
        "max_model_len": model.max_model_len,
        "block_size": cache.block_size,
        "enable_prefix_caching": cache.enable_prefix_caching,
        "kv_cache_dtype": cache.cache_dtype,
        "max_num_batched_tokens": scheduler.max_num_batched_tokens,
        "max_num_scheduled_tokens": scheduler.max_num_scheduled_tokens,
        "max_num_seqs": scheduler.max_num_seqs,
        "max_num_active_seqs": scheduler.max_num_active_seqs,
        "enable_chunked_prefill": scheduler.enable_chunked_prefill,
        "long_prefill_token_threshold": scheduler.long_prefill_token_threshold,
        "long_prefill_token_threshold_adaptive": scheduler.long_prefill_token_threshold_adaptive,
        "scheduling_policy": scheduler.policy,
        "scheduler_reserve_full_isl": scheduler.scheduler_reserve_full_isl,
        "watermark": scheduler.watermark,
        "prefill_schedule_interval": scheduler.prefill_schedule_interval,
        "disable_hybrid_kv_cache_manager": scheduler.disable_hybrid_kv_cache_manager,
        "async_scheduling": scheduler.async_scheduling,
        "tensor_parallel_size": parallel.tensor_parallel_size,
        "pipeline_parallel_size": parallel.pipeline_parallel_size,
    }
