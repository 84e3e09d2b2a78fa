"""The simulated device as an engine meets it: the model's KV cache, its memory, its speed."""

from __future__ import annotations

from vllm import platforms
from vllm.config import VllmConfig
from vllm.platforms.interface import PlatformEnum

from ..config import SimSettings
from ..devices.device import Device
from ..latency.build import build_latency_model
from ..latency.hf_config import shape_from_hf_config
from ..latency.model import LatencyModel
from ..latency.shape import ModelShape
from .kv_memory import available_kv_bytes
from .meta_model import ModelFacts, model_facts


class SimulatedDevice:
    """Answers what the engine asks its workers at start."""

    def __init__(self, config: VllmConfig, settings: SimSettings, device: Device) -> None:
        self._config = config
        self._device = device
        self._facts = model_facts(config)
        self.kv_cache_specs = self._facts.kv_cache_specs
        self.kv_cache_layouts = self._facts.kv_cache_layouts
        self.latency: LatencyModel = build_latency_model(
            settings.latency,
            device,
            lambda: _shape(config, self._facts),
            named_device=settings.device is not None,
        )

    def available_kv_bytes(self) -> list[int]:
        """Bytes for the KV cache, one number a rank."""
        return available_kv_bytes(self._config, self._facts, self._device)


def _shape(config: VllmConfig, facts: ModelFacts) -> ModelShape:
    """The model as the analytic latency models see it.

    Raises:
        LatencyError: It has layers that they do not know.
    """
    parallel = config.parallel_config
    cache_dtype = config.cache_config.cache_dtype
    return shape_from_hf_config(
        config.model_config.hf_config.to_dict(),
        tp=parallel.tensor_parallel_size,
        pp=parallel.pipeline_parallel_size,
        weight_bytes_per_rank=None if facts.weight_bytes is None else max(facts.weight_bytes),
        kv_bytes=1 if cache_dtype.startswith("fp8") else None,
        dtype=str(config.model_config.dtype).removeprefix("torch."),
    )


def mark_shut_down() -> None:
    """Let vLLM's cleanup take the CPU's path: it empties the cache of an accelerator otherwise.

    Activating the platform again removes the mark.
    """
    vars(platforms.current_platform)["_enum"] = PlatformEnum.CPU
