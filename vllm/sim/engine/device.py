"""The simulated device as an engine meets it: the model's KV cache, its memory, its speed."""

from __future__ import annotations

from vllm import platforms
from vllm.config import VllmConfig
from vllm.platforms.interface import PlatformEnum

from ..config import SimSettings
from ..devices.device import Device
from ..latency.model import Instant, LatencyModel
from .meta_model import model_facts


class SimulatedDevice:
    """Answers what the engine asks its workers at start."""

    def __init__(self, config: VllmConfig, settings: SimSettings, device: Device) -> None:
        self._config = config
        self._device = device
        self._facts = model_facts(config)
        self.kv_cache_specs = self._facts.kv_cache_specs
        self.kv_cache_layouts = self._facts.kv_cache_layouts
        self.latency: LatencyModel = Instant()

    def available_kv_bytes(self) -> list[int]:
        """Bytes for the KV cache, one number a rank."""
        given = self._config.cache_config.kv_cache_memory_bytes
        free = given or 4 << 30
        return [free for _ in self.kv_cache_specs]


def mark_shut_down() -> None:
    """Let vLLM's cleanup take the CPU's path: it empties the cache of an accelerator otherwise.

    Activating the platform again removes the mark.
    """
    vars(platforms.current_platform)["_enum"] = PlatformEnum.CPU
