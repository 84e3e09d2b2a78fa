"""Facts of a model, from its real class, without its weights.

The model class that would run on the device is built on torch's meta device: all
layers with their shapes, no storage. Upstream's own functions then read from it what
the engine asks its workers for: KV cache specs, block size, cache layouts. Parameters
and buffers give the bytes that the weights take on each rank.
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.fx.experimental import _config as fx_config
from vllm import platforms
from vllm.config import CompilationMode, ModelConfig, VllmConfig, set_current_vllm_config
from vllm.distributed.kv_transfer.kv_connector.utils import get_current_attn_backends
from vllm.distributed.utils import get_pp_indices
from vllm.logger import init_logger
from vllm.model_executor.layers.quantization.online.base import OnlineQuantizationConfig
from vllm.model_executor.model_loader.utils import get_model_architecture, initialize_model
from vllm.platforms.interface import PlatformEnum
from vllm.utils.torch_utils import kv_cache_dtype_str_to_dtype, set_default_torch_dtype
from vllm.v1.attention.backends.utils import get_supported_kv_cache_layouts
from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheSpec, get_kv_quant_mode
from vllm.v1.worker.gpu.attn_utils import get_kv_cache_spec

from ..errors import DeviceError
from ..hooks.model_build import globals_kept
from . import platform
from .parallel_ranks import first_rank_of_stage

if TYPE_CHECKING:
    from torch import nn

logger = init_logger(__name__)


@dataclass(frozen=True)
class ModelFacts:
    """What the engine asks its workers for. Lists have one entry per rank of one replica."""

    kv_cache_specs: list[dict[str, KVCacheSpec]]  # by layer name
    weight_bytes: list[int] | None  # None: not known, no class could be built
    kv_cache_layouts: list[list[str]]  # names, most preferred first


def model_facts(vllm_config: VllmConfig) -> ModelFacts:
    """Build each pipeline stage's first rank on the meta device, and read it.

    Reads no weights, and leaves no global changed. The one thing changed is
    ``vllm_config.cache_config``: its block size becomes what the attention backends
    can work with, as in upstream's executors.

    Raises:
        DeviceError: The model class cannot be built here, and the model is not one
            whose KV cache follows from its config.
    """
    if platform.active_device() is None:
        raise DeviceError("no simulated device is active: call platform.activate() first")
    started = time.perf_counter()
    stages = range(vllm_config.parallel_config.pipeline_parallel_size)
    try:
        facts = [_stage_facts(vllm_config, stage) for stage in stages]
    except _BuildFailed as failed:
        facts = [_facts_from_config(vllm_config, stage, failed) for stage in stages]
    logger.debug(
        "Read %s on the meta device in %.2f s",
        vllm_config.model_config.architecture,
        time.perf_counter() - started,
    )
    ranks_per_stage = vllm_config.parallel_config.world_size // len(facts)
    ranks = [stage for stage in facts for _ in range(ranks_per_stage)]
    weights = [rank.weight_bytes for rank in ranks if rank.weight_bytes is not None]
    return ModelFacts(
        kv_cache_specs=[dict(rank.specs) for rank in ranks],
        weight_bytes=weights if len(weights) == len(ranks) else None,
        kv_cache_layouts=[list(rank.layouts) for rank in ranks],
    )


@dataclass(frozen=True)
class _StageFacts:
    specs: dict[str, KVCacheSpec]
    weight_bytes: int | None
    layouts: list[str]


class _BuildFailed(Exception):
    """The model class raised. Holds what it raised under each platform identity."""

    def __init__(self, architecture: str, attempts: dict[str, Exception]) -> None:
        self.attempts = attempts
        causes = "; ".join(f"as on {name}: {_brief(error)}" for name, error in attempts.items())
        super().__init__(f"{architecture} cannot be built on the meta device ({causes})")


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def _stage_facts(vllm_config: VllmConfig, stage: int) -> _StageFacts:
    # A build leaves layers and counters in the configs that it is given: it gets a copy.
    # The cache config is shared, since the block size that is found has to stay.
    config = copy.deepcopy(vllm_config, {id(vllm_config.cache_config): vllm_config.cache_config})
    # Nothing is compiled, so that layers need not prepare for it.
    config.compilation_config.mode = CompilationMode.NONE
    with first_rank_of_stage(config.parallel_config, stage), globals_kept():
        model = _build(config)
        with set_current_vllm_config(config):
            platforms.current_platform.update_block_size_for_backend(config)
            return _StageFacts(
                specs=get_kv_cache_spec(config),
                weight_bytes=_weight_bytes(model, config),
                layouts=[
                    layout.name
                    for layout in get_supported_kv_cache_layouts(get_current_attn_backends(config))
                ],
            )


def _build(config: VllmConfig) -> nn.Module:
    """The model on the meta device.

    Layers choose kernels by platform while they are built. Quantised weights take the
    shapes that the kernel of the simulated GPU wants. Others have one shape everywhere,
    and are built as on this machine, where more modules are at hand.
    """
    host = platforms.current_platform.host._enum
    identities = [host]
    if platforms.current_platform.is_out_of_tree():
        identities.append(PlatformEnum.CUDA)
    if config.model_config.quantization is not None:
        identities.reverse()
    attempts: dict[str, Exception] = {}
    with platform.identity(host):
        # Modules that look at the platform when imported stay right for real models.
        get_model_architecture(config.model_config)
    for identity in identities:
        config.compilation_config.static_forward_context.clear()
        config.compilation_config.static_all_moe_layers.clear()
        try:
            with (
                platform.identity(identity),
                set_current_vllm_config(config),
                set_default_torch_dtype(config.model_config.dtype),
                fx_config.patch(meta_nonzero_assume_all_nonzero=True),
                torch.device("meta"),
            ):
                return initialize_model(vllm_config=config)
        except Exception as error:  # whatever a model class raises; told below
            attempts[identity.name] = error
    raise _BuildFailed(config.model_config.architecture, attempts)


def _weight_bytes(model: nn.Module, config: VllmConfig) -> int:
    """Bytes of parameters and buffers as they lie on the device; tied ones count once."""
    quantised_online = isinstance(config.quant_config, OnlineQuantizationConfig)
    counted: set[int] = set()
    bits = 0.0
    for module in model.modules():
        narrow = _online_bits(module) if quantised_online else None
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
            if id(tensor) in counted:
                continue
            counted.add(id(tensor))
            is_matrix = tensor.dim() > 1 and tensor.is_floating_point()
            wide = tensor.element_size() * 8
            bits += tensor.numel() * (narrow if narrow is not None and is_matrix else wide)
    return math.ceil(bits / 8)


def _online_bits(module: nn.Module) -> float | None:
    """Bits per weight, scales included, once a layer that is quantised while loading has been.

    None for a layer that keeps the type that the checkpoint has.
    """
    from vllm.model_executor.layers.quantization.online import fp8, moe_base, mxfp4, mxfp8, nvfp4

    method = vars(module).get("quant_method")
    if isinstance(method, mxfp4.Mxfp4OnlineLinearMethod | mxfp4.Mxfp4OnlineMoEMethod):
        return 4 + 8 / 32
    if isinstance(method, nvfp4.Nvfp4OnlineMoEMethod):
        return 4 + 8 / 16
    if isinstance(method, mxfp8.Mxfp8OnlineLinearMethod | mxfp8.Mxfp8OnlineMoEMethod):
        return 8 + 8 / 32
    if isinstance(method, fp8.OnlineLinearBase | moe_base.OnlineMoEMethodBase):
        return 8
    return None


def _facts_from_config(vllm_config: VllmConfig, stage: int, failed: _BuildFailed) -> _StageFacts:
    """Full attention in every layer, from the numbers in the model's config.

    Raises:
        DeviceError: The config tells of anything else.
    """
    model = vllm_config.model_config
    if reason := _not_plain(model):
        raise DeviceError(f"{failed}, and its KV cache does not follow from its config: {reason}")
    if stage == 0:
        logger.warning("%s. Its KV cache is taken from its config: full attention", failed)
    cache = vllm_config.cache_config
    parallel = vllm_config.parallel_config
    spec = FullAttentionSpec(
        block_size=cache.block_size,
        num_kv_heads=model.get_num_kv_heads(parallel),
        head_size=model.get_head_size(),
        dtype=kv_cache_dtype_str_to_dtype(cache.cache_dtype, model),
        kv_quant_mode=get_kv_quant_mode(cache.cache_dtype),
    )
    first, end = get_pp_indices(
        model.get_total_num_hidden_layers(), stage, parallel.pipeline_parallel_size
    )
    return _StageFacts(
        specs={f"model.layers.{layer}.self_attn.attn": spec for layer in range(first, end)},
        weight_bytes=None,
        layouts=[layout.name for layout in get_supported_kv_cache_layouts([])],
    )


def _not_plain(model: ModelConfig) -> str | None:
    """Why some layer may keep something else than all keys and values; None if none does."""
    if model.use_mla:
        return "multi-head latent attention"
    if model.is_hybrid or model.is_attention_free:
        return "state-space layers"
    if model.is_encoder_decoder:
        return "cross attention"
    if model.get_sliding_window() is not None or model.attention_chunk_size is not None:
        return "sliding or chunked windows"
    if model.architecture.startswith("Transformers"):
        return "vLLM has no class of its own for it"
    values = model.hf_text_config.to_dict()
    if set(values.pop("layer_types", None) or ()) - {"full_attention"}:
        return "layers of several kinds"
    for key, value in values.items():
        if value and any(hint in key for hint in _OTHER_ATTENTION):
            return f"{key} = {value}"
    return None


# Parts of config keys that tell of layers that do not keep all keys and values.
_OTHER_ATTENTION = (
    "mamba",
    "ssm",
    "linear_",
    "layer_pattern",
    "layer_indices",
    "override_pattern",
    "block_type",
    "sliding_window",
    "chunk",
    "kv_lora",
    "kv_shared",
    "index_topk",
)
