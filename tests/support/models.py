"""Small models with random weights, saved as Hugging Face folders."""

from __future__ import annotations

import shutil
from pathlib import Path

from .paths import DEMO_MODEL


def save_tiny_llama(
    folder: Path, *, layers: int = 2, hidden: int = 128, heads: int = 4, kv_heads: int = 2,
    intermediate: int = 256, max_length: int = 4096, seed: int = 0,
) -> Path:  # fmt: skip
    """A random Llama (about a million parameters by default) with the demo model's tokenizer."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(DEMO_MODEL)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=(len(tokenizer) + 63) // 64 * 64,
        hidden_size=hidden, intermediate_size=intermediate, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=kv_heads, head_dim=hidden // heads,
        max_position_embeddings=max_length, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, tie_word_embeddings=False, initializer_range=0.2,
    )  # fmt: skip
    LlamaForCausalLM(config).to(torch.float32).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(DEMO_MODEL / name, folder / name)
    return folder
