"""Bytes for the KV cache on a simulated device, and the sum that leads to them.

A real engine profiles a forward pass and gives what is left to the KV cache. Here the
forward pass is estimated; docs/kv-memory.md has the terms, their sources, and the
errors against published block counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vllm.logger import init_logger
from vllm.utils.mem_constants import GiB_bytes
from vllm.utils.mem_utils import format_gib

from ..errors import DeviceError

if TYPE_CHECKING:
    from vllm.config import VllmConfig

    from .meta_model import ModelFacts
    from .platform import DeviceFacts

logger = init_logger(__name__)

# CUDA context and libraries; a GPU's communication buffers. Fitted, see docs/kv-memory.md.
CONTEXT_BYTES = int(0.22 * GiB_bytes)
COLLECTIVES_BYTES = int(0.43 * GiB_bytes)

# Peak bytes per logit while sampling. Runs with up to 256 sequences fit the first; model
# runner V2 keeps two copies only (2 bytes as computed, 4 bytes as sampled from).
LOGIT_BYTES = 30
LOGIT_BYTES_SEQS = 256
LOGIT_BYTES_LEAN = 6

# Below this a model is a toy: the smallest published ones are twice as large.
TOY_WEIGHT_BYTES = 128 << 20
# 2.1 million tokens at block size 16: three times what an H100 holds for Qwen3-0.6B.
TOY_BLOCKS = 1 << 17

_INTERMEDIATE_NAMES = ("intermediate_size", "ffn_hidden_size", "ffn_dim", "n_inner", "d_ff")


@dataclass(frozen=True)
class KvMemorySum:
    """One rank's memory, in bytes."""

    device: int
    requested: int  # device x gpu_memory_utilization
    weights: int
    context: int
    collectives: int
    activations: int

    @property
    def available(self) -> int:
        """What is left for the KV cache; negative when the rest does not fit."""
        used = self.weights + self.context + self.collectives + self.activations
        return self.requested - used

    def __str__(self) -> str:
        return (
            f"{format_gib(self.device)} GiB, of which requested {format_gib(self.requested)}, "
            f"less weights {format_gib(self.weights)}, activations (estimated) "
            f"{format_gib(self.activations)}, context {format_gib(self.context)}, collectives "
            f"{format_gib(self.collectives)}"
        )


def available_kv_bytes(
    vllm_config: VllmConfig, facts: ModelFacts, device: DeviceFacts
) -> list[int]:
    """Bytes for the KV cache, one number a rank.

    ``--kv-cache-memory-bytes`` is taken as it is. ``--num-gpu-blocks-override`` is
    applied by vLLM afterwards, whatever is returned here.

    Raises:
        DeviceError: Weights and activations do not leave room, or the weights are not known.
    """
    cache_config = vllm_config.cache_config
    ranks = len(facts.kv_cache_specs)
    overridden = cache_config.num_gpu_blocks_override is not None
    if cache_config.kv_cache_memory_bytes:
        logger.info(
            "Reserved %s GiB for the KV cache, as kv_cache_memory_bytes says; "
            "gpu_memory_utilization has no part in it",
            format_gib(cache_config.kv_cache_memory_bytes),
        )
        return [cache_config.kv_cache_memory_bytes] * ranks
    if facts.weight_bytes is None:
        if overridden:
            return [0] * ranks
        raise DeviceError(
            f"the size of {vllm_config.model_config.architecture}'s weights is not known: give "
            "--kv-cache-memory-bytes or --num-gpu-blocks-override"
        )
    sums = [memory_sum(vllm_config, facts.weight_bytes, rank, device) for rank in range(ranks)]
    least = min(sums, key=lambda rank: rank.available)
    if overridden:
        return [max(0, rank.available) for rank in sums]
    if least.available <= 0:
        raise DeviceError(
            f"{vllm_config.model_config.model} leaves no memory for the KV cache on "
            f"{device.name}: {least}. Raise --tensor-parallel-size or --gpu-memory-utilization, "
            "lower --max-num-batched-tokens, or choose a larger --sim-device"
        )
    logger.info("Memory of %s: %s", device.name, least)
    logger.info("Available KV cache memory: %s GiB", format_gib(least.available))
    return _pinned_for_toys(vllm_config, facts, [rank.available for rank in sums])


def memory_sum(
    vllm_config: VllmConfig, weight_bytes: list[int], rank: int, device: DeviceFacts
) -> KvMemorySum:
    """The sum for one rank of a replica."""
    parallel = vllm_config.parallel_config
    utilization = vllm_config.cache_config.gpu_memory_utilization
    is_gpu = device.compute_capability is not None
    ranks_per_stage = len(weight_bytes) // parallel.pipeline_parallel_size
    last_stage = rank // ranks_per_stage == parallel.pipeline_parallel_size - 1
    return KvMemorySum(
        device=device.memory_bytes,
        requested=math.ceil(device.memory_bytes * utilization),
        weights=weight_bytes[rank],
        context=CONTEXT_BYTES if is_gpu else 0,
        collectives=COLLECTIVES_BYTES if is_gpu and parallel.tensor_parallel_size > 1 else 0,
        activations=activation_bytes(vllm_config, samples=last_stage),
    )


def activation_bytes(vllm_config: VllmConfig, *, samples: bool) -> int:
    """Peak of a full batch: either in a layer, or where logits are sampled from.

    Args:
        vllm_config: The resolved configuration.
        samples: Whether this rank computes logits: the last pipeline stage does.
    """
    model = vllm_config.model_config
    scheduler = vllm_config.scheduler_config
    tokens = scheduler.max_num_batched_tokens
    hidden = model.get_hidden_size()
    intermediate = _intermediate_size(model.hf_text_config.to_dict(), hidden)
    tensor_parallel = vllm_config.parallel_config.tensor_parallel_size
    layer = 2 * tokens * (3 * intermediate // tensor_parallel + 3 * hidden)
    if not samples:
        return layer
    seqs = min(scheduler.max_num_seqs, tokens)
    per_vocabulary_entry = max(LOGIT_BYTES * min(seqs, LOGIT_BYTES_SEQS), LOGIT_BYTES_LEAN * seqs)
    return max(layer, per_vocabulary_entry * model.get_vocab_size())


def _intermediate_size(text_config: dict[str, Any], hidden: int) -> int:
    """Width of the MLP, under the names that models give it; four times hidden if none."""
    for name in _INTERMEDIATE_NAMES:
        size = text_config.get(name)
        if size is not None:
            return max(size) if isinstance(size, list) else size
    return 4 * hidden


def _pinned_for_toys(vllm_config: VllmConfig, facts: ModelFacts, available: list[int]) -> list[int]:
    """A toy model on a real device would have millions of blocks, each a Python object."""
    assert facts.weight_bytes is not None  # the caller saw to it
    if sum(facts.weight_bytes) >= TOY_WEIGHT_BYTES:
        return available
    one_request = math.ceil(
        vllm_config.model_config.max_model_len / vllm_config.cache_config.block_size
    )
    blocks = max(TOY_BLOCKS, 2 * one_request)
    pinned = [
        min(free, blocks * sum(spec.page_size_bytes for spec in specs.values()))
        for free, specs in zip(available, facts.kv_cache_specs, strict=True)
    ]
    if pinned != available:
        logger.info(
            "The model is a toy (%d MiB of weights): its KV cache is kept to %d blocks, %s GiB. "
            "--num-gpu-blocks-override and --kv-cache-memory-bytes are not limited",
            sum(facts.weight_bytes) >> 20,
            blocks,
            format_gib(min(pinned)),
        )
    return pinned
