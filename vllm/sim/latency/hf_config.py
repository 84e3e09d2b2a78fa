"""A model's shape from its Hugging Face config, as a plain dict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..errors import LatencyError
from .quantization import dtype_bytes, read_quantization
from .shape import Attention, Experts, LatentAttention, ModelShape

# Feed-forward blocks of two matrices; all that came after Llama have three.
_PLAIN_FFN = frozenset({"opt", "gpt2", "gpt_neox", "gptj", "falcon", "phi", "bloom", "starcoder2"})
_WINDOWED = frozenset({"sliding_attention", "chunked_attention"})
_LAYER_TYPES = _WINDOWED | {"full_attention", "attention"}


def shape_from_hf_config(
    config: Mapping[str, Any],
    *,
    tp: int = 1,
    pp: int = 1,
    weight_bytes_per_rank: float | None = None,
    kv_bytes: float | None = None,
    dtype: str | None = None,
) -> ModelShape:
    """Read a config, as ``config.json`` or ``PretrainedConfig.to_dict()`` has it.

    Args:
        config: The whole config; a ``text_config`` inside it is what counts.
        tp: Tensor-parallel ranks.
        pp: Pipeline stages.
        weight_bytes_per_rank: Measured; None: estimated from the parameter count.
        kv_bytes: Bytes of a KV cache element; None: as the activations.
        dtype: What the activations are held in; None: as the config says.

    Raises:
        LatencyError: A key is missing, or the model has layers that no predictor here knows.
    """
    if tp < 1 or pp < 1:
        raise LatencyError(f"tp and pp must be at least 1, got {tp} and {pp}")
    nested = config.get("text_config")
    text: Mapping[str, Any] = nested if nested is not None else config
    hidden = _need(text, "hidden_size", "n_embd", "d_model")
    layers = _need(text, "num_hidden_layers", "n_layer")
    intermediate = _first(text, "intermediate_size", "ffn_dim", "n_inner") or 4 * hidden
    activation_bytes = dtype_bytes(
        dtype or _first(text, "dtype", "torch_dtype") or _first(config, "dtype", "torch_dtype")
    )
    quantization = read_quantization(config, activation_bytes)
    experts, dense_layers = _experts(text, layers, intermediate, quantization.expert_bytes)
    tied = _first(config, "tie_word_embeddings")
    gated = _first(text, "model_type") not in _PLAIN_FFN
    shape = ModelShape(
        layers=layers,
        hidden=hidden,
        vocab=_need(text, "vocab_size"),
        attention=_attention(text, layers, hidden),
        latent_attention=_latent_attention(text),
        dense_layers=dense_layers,
        intermediate=intermediate if dense_layers else 0,
        gated=gated,
        experts=experts,
        tied_embeddings=True if tied is None else bool(tied),  # transformers' default
        weight_bytes=quantization.weight_bytes,
        activation_bytes=activation_bytes,
        kv_bytes=activation_bytes if kv_bytes is None else kv_bytes,
        compute=quantization.compute,
        tp=tp,
        pp=pp,
        hf_config=config,
    )
    if weight_bytes_per_rank is None:
        weight_bytes_per_rank = shape.estimated_weight_bytes_per_rank()
    return shape.with_weight_bytes(weight_bytes_per_rank)


def _first(config: Mapping[str, Any], *keys: str) -> Any:
    """The value of the first of the keys that has one: configs name the same thing differently."""
    for key in keys:
        if config.get(key) is not None:
            return config[key]
    return None


def _need(config: Mapping[str, Any], *keys: str) -> Any:
    value = _first(config, *keys)
    if value is None:
        raise LatencyError(
            f"the model's config has no {keys[0]}, so its step time cannot be derived"
        )
    return value


def _attention(text: Mapping[str, Any], layers: int, hidden: int) -> tuple[Attention, ...]:
    heads = _need(text, "num_attention_heads", "n_head")
    kv_heads = _first(text, "num_key_value_heads") or heads
    head_dim = _first(text, "head_dim") or hidden // heads
    if text.get("kv_lora_rank") is not None:
        head_dim = _need(text, "qk_nope_head_dim") + _need(text, "qk_rope_head_dim")
    window = _first(text, "sliding_window", "attention_chunk_size")
    if text.get("use_sliding_window") is False:
        window = None
    kinds = _first(text, "layer_types", "layers_block_type")
    if kinds is None:
        kinds = ["sliding_attention" if window else "full_attention"] * layers
    if unknown := sorted(set(kinds) - _LAYER_TYPES):
        raise LatencyError(
            f"layers of type {', '.join(unknown)} are not modelled: fit a file on a measured run "
            "(vllm sim calibrate), or use constant:…"
        )
    # Gemma 4 has other heads in its global layers, and says so in one of two ways.
    of_layer = {int(key): value for key, value in (_first(text, "per_layer_config") or {}).items()}
    of_global = {"num_key_value_heads": "num_global_key_value_heads", "head_dim": "global_head_dim"}
    groups: Counter[tuple[int, int, int | None]] = Counter()
    for index, kind in enumerate(kinds):
        own = of_layer.get(index, {})
        if kind == "full_attention" and not own:
            own = {key: _first(text, name) for key, name in of_global.items()}
        groups[
            own.get("num_key_value_heads") or kv_heads,
            own.get("head_dim") or head_dim,
            window if kind in _WINDOWED else None,
        ] += 1
    return tuple(Attention(count, heads, *group) for group, count in groups.items())


def _latent_attention(text: Mapping[str, Any]) -> LatentAttention | None:
    if text.get("kv_lora_rank") is None:
        return None
    return LatentAttention(
        kv_lora_rank=text["kv_lora_rank"],
        q_lora_rank=text.get("q_lora_rank"),
        qk_nope_head_dim=_need(text, "qk_nope_head_dim"),
        qk_rope_head_dim=_need(text, "qk_rope_head_dim"),
        v_head_dim=_need(text, "v_head_dim"),
    )


def _experts(
    text: Mapping[str, Any], layers: int, intermediate: int, weight_bytes: float
) -> tuple[Experts | None, int]:
    """The expert layers, and how many layers have a plain feed-forward block."""
    count = _first(text, "num_experts", "num_local_experts", "n_routed_experts") or 0
    if count < 2 or text.get("enable_moe_block") is False:
        return None, layers
    width = _first(text, "moe_intermediate_size") or intermediate
    shared = _first(text, "shared_expert_intermediate_size")
    if shared is None:
        shared = (_first(text, "n_shared_experts") or 0) * width
    every = _first(text, "decoder_sparse_step", "moe_layer_freq") or 1
    dense = set(_first(text, "mlp_only_layers") or ())
    dense.update(range(_first(text, "first_k_dense_replace") or 0))
    dense.update(index for index in range(layers) if (index + 1) % every)
    experts = Experts(
        layers=layers - len(dense),
        count=count,
        per_token=_need(text, "num_experts_per_tok", "experts_per_token", "top_k_experts"),
        intermediate=width,
        shared_intermediate=shared,
        weight_bytes=weight_bytes,
    )
    # Gemma 4 has both kinds of block in every layer.
    return experts, layers if text.get("enable_moe_block") else len(dense)
