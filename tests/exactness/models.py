"""A model for each KV cache that vLLM's CPU backend can run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from support.models import save_tiny_llama
from support.paths import DEMO_MODEL


def save_model(kind: str, folder: Path) -> Path:
    """Random weights in the Hugging Face format.

    Args:
        kind: ``llama`` (full attention), ``window`` (every layer attends to the last 64
            tokens, and blocks behind that are freed), ``mixed`` (full and windowed layers
            in turn, in two KV cache groups), ``mla`` (latent attention, whose CPU kernel
            has blocks of 16).
    """
    if kind == "llama":
        return save_tiny_llama(folder)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(DEMO_MODEL)
    common: dict[str, Any] = {
        "vocab_size": (len(tokenizer) + 63) // 64 * 64,
        "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2,
        "num_attention_heads": 4, "max_position_embeddings": 4096, "initializer_range": 0.2,
        "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id,
        "tie_word_embeddings": False,
    }  # fmt: skip
    _MAKERS[kind](common, folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(DEMO_MODEL / name, folder / name)
    return folder


def _window(common: dict[str, Any], folder: Path) -> None:
    import torch
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(0)
    config = MistralConfig(**common, num_key_value_heads=2, head_dim=32, sliding_window=64)
    MistralForCausalLM(config).to(torch.float32).save_pretrained(folder)


def _mixed(common: dict[str, Any], folder: Path) -> None:
    import torch
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(0)
    config = Gemma2Config(
        **common | {"tie_word_embeddings": True}, num_key_value_heads=2, head_dim=32,
        sliding_window=64, query_pre_attn_scalar=32, pad_token_id=common["eos_token_id"],
    )  # fmt: skip
    Gemma2ForCausalLM(config).to(torch.float32).save_pretrained(folder)


def _mla(common: dict[str, Any], folder: Path) -> None:
    import torch
    from transformers import DeepseekV2Config, DeepseekV2ForCausalLM

    torch.manual_seed(0)
    config = DeepseekV2Config(
        **common | {"initializer_range": 0.1}, num_key_value_heads=4, kv_lora_rank=512,
        q_lora_rank=None, qk_rope_head_dim=64, qk_nope_head_dim=32, v_head_dim=32,
        first_k_dense_replace=2, moe_intermediate_size=64, n_routed_experts=4,
        num_experts_per_tok=2, n_shared_experts=1, n_group=1, topk_group=1,
    )  # fmt: skip
    DeepseekV2ForCausalLM(config).to(torch.float32).save_pretrained(folder)


_MAKERS = {"window": _window, "mixed": _mixed, "mla": _mla}
