"""Batches, steps and configs that the tests of this folder share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vllm.sim.records import Composition, ScheduledRequest, StepRecord

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

# Of about the size of an 8B model, with round numbers.
DENSE: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128000,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}


def data_folder(name: str) -> Path:
    """A folder of measured data, or a skip where it is not there."""
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"needs the measured data in {folder}")
    return folder


def prefill(tokens: int, cached: int = 0, count: int = 1) -> Composition:
    pairs = tokens * cached + tokens * (tokens + 1) // 2
    return Composition(count, count * tokens, count * cached, count * pairs, 0, 0)


def decode(requests: int, kv_tokens: int) -> Composition:
    return Composition(0, 0, 0, 0, requests, requests * kv_tokens)


def add(one: Composition, other: Composition) -> Composition:
    return Composition(
        one.prefills + other.prefills,
        one.prefill_tokens + other.prefill_tokens,
        one.prefill_cached_tokens + other.prefill_cached_tokens,
        one.prefill_pairs + other.prefill_pairs,
        one.decodes + other.decodes,
        one.decode_kv_tokens + other.decode_kv_tokens,
    )


def step_of(*requests: ScheduledRequest, duration_ns: int = 0) -> StepRecord:
    return StepRecord(
        step=0,
        start_ns=0,
        duration_ns=duration_ns,
        requests=list(requests),
        running=len(requests),
        waiting=0,
        preempted=[],
        finished=[],
        free_blocks=0,
        used_blocks=0,
        cached_tokens=0,
    )
