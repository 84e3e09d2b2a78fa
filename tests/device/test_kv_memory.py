"""The number of KV blocks that a device has room for."""

from __future__ import annotations

import dataclasses
import logging

import pytest
from published_models import LLAMA_31_8B, QWEN3_14B, TOY, resolve
from support.paths import REPOSITORY
from vllm.v1.attention.backends.utils import resolve_kv_cache_layout
from vllm.v1.core.kv_cache_utils import get_kv_cache_configs

from vllm.sim.devices.load import load_device
from vllm.sim.engine import kv_memory
from vllm.sim.engine.kv_memory import available_kv_bytes, memory_sum
from vllm.sim.engine.meta_model import model_facts
from vllm.sim.errors import DeviceError

GIB = 1 << 30


def blocks_of(config, device):
    """As the engine core counts them."""
    facts = model_facts(config)
    specs = [spec for rank in facts.kv_cache_specs for spec in rank.values()]
    layout = resolve_kv_cache_layout(config, facts.kv_cache_layouts, specs)
    config.cache_config.kv_cache_layout = layout.name
    available = available_kv_bytes(config, facts, load_device(device))
    return get_kv_cache_configs(config, facts.kv_cache_specs, available)[0].num_blocks


# Counts that real engines printed at start, blocks of 16.
PUBLISHED = [
    ("h100_sxm", QWEN3_14B, {}, 0.92, 8192, 18038),
    ("h100_sxm", QWEN3_14B, {"max_num_seqs": 256}, 0.92, 8192, 18038),
    ("rtx_4090", LLAMA_31_8B, {}, 0.90, 2048, 2588),
]


@pytest.mark.parametrize(
    ("device", "model", "arguments", "utilization", "tokens", "published"), PUBLISHED
)
def test_published_counts(
    simulate, folder_of, device, model, arguments, utilization, tokens, published
):
    simulate(device)
    config = resolve(
        folder_of(model),
        gpu_memory_utilization=utilization,
        max_num_batched_tokens=tokens,
        max_model_len=32768,
        **arguments,
    )
    assert config.cache_config.block_size == 16
    blocks = blocks_of(config, device)
    assert blocks == pytest.approx(published, rel=0.03)
    row = f"| {published:,} | {blocks:,} | {100 * (blocks / published - 1):.2f} % |"
    assert row in (REPOSITORY / "docs" / "kv-memory.md").read_text()


def test_the_sum_adds_up_and_is_printed(simulate, folder_of, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("vllm"), "propagate", True)
    caplog.set_level(logging.INFO)
    simulate("h100_sxm")
    device = load_device("h100_sxm")
    config = resolve(folder_of(LLAMA_31_8B), tensor_parallel_size=2)
    facts = model_facts(config)
    total = memory_sum(config, facts.weight_bytes, 0, device)
    assert total.device == device.memory_bytes
    assert total.collectives > 0
    assert total.available == (
        total.requested - total.weights - total.context - total.collectives - total.activations
    )
    assert available_kv_bytes(config, facts, device) == [total.available] * 2
    assert f"Memory of h100_sxm: {total}" in caplog.text
    assert "Available KV cache memory: 63.78 GiB" in caplog.text


def test_more_of_anything_leaves_less(simulate, folder_of):
    simulate("h100_sxm")
    device = load_device("h100_sxm")
    model = folder_of(LLAMA_31_8B)

    def available(**arguments):
        config = resolve(model, **arguments)
        return available_kv_bytes(config, model_facts(config), device)

    assert available() > available(gpu_memory_utilization=0.5)
    assert available() > available(max_num_batched_tokens=65536)
    assert available() < available(tensor_parallel_size=2)
    # The last pipeline stage computes logits, the first does not.
    first, last = available(pipeline_parallel_size=2, max_num_batched_tokens=2048)
    assert first > last


def test_bytes_given_by_the_user_are_taken_as_they_are(simulate, folder_of):
    simulate("rtx_4090")
    config = resolve(folder_of(LLAMA_31_8B), kv_cache_memory_bytes=5 * GIB, tensor_parallel_size=2)
    facts = model_facts(config)
    assert available_kv_bytes(config, facts, load_device("rtx_4090")) == [5 * GIB] * 2


def test_a_number_of_blocks_given_by_the_user_wins(simulate, folder_of):
    simulate("rtx_4090")
    config = resolve(folder_of(LLAMA_31_8B), num_gpu_blocks_override=9000)
    assert blocks_of(config, "rtx_4090") == 9000


def test_a_model_that_does_not_fit_is_refused(simulate, folder_of):
    simulate("rtx_4090")
    config = resolve(folder_of(QWEN3_14B))
    with pytest.raises(DeviceError, match=r"no memory for the KV cache on rtx_4090: 23\.52 GiB"):
        available_kv_bytes(config, model_facts(config), load_device("rtx_4090"))


def test_unknown_weights_need_a_number_from_the_user(simulate, folder_of):
    simulate("h100_sxm")
    device = load_device("h100_sxm")
    model = folder_of(LLAMA_31_8B)
    config = resolve(model)
    facts = dataclasses.replace(model_facts(config), weight_bytes=None)
    with pytest.raises(DeviceError, match="--kv-cache-memory-bytes"):
        available_kv_bytes(config, facts, device)
    config = resolve(model, num_gpu_blocks_override=9000)
    assert available_kv_bytes(config, facts, device) == [0]


def test_a_toy_has_a_number_of_blocks_that_python_can_hold(simulate, folder_of):
    simulate("h100_sxm")
    model = folder_of(TOY)
    assert blocks_of(resolve(model), "h100_sxm") == kv_memory.TOY_BLOCKS
    assert blocks_of(resolve(model, num_gpu_blocks_override=300_000), "h100_sxm") == 300_000
    config = resolve(model, kv_cache_memory_bytes=70 * GIB)
    assert blocks_of(config, "h100_sxm") > 2_000_000


def test_the_smallest_published_models_are_no_toys(simulate, folder_of):
    """SmolLM2-135M: its blocks are counted like any other's."""
    simulate("rtx_4090")
    config = resolve(
        folder_of(
            {
                **LLAMA_31_8B,
                "hidden_size": 576,
                "intermediate_size": 1536,
                "num_hidden_layers": 30,
                "num_attention_heads": 9,
                "num_key_value_heads": 3,
                "vocab_size": 49152,
                "max_position_embeddings": 8192,
                "tie_word_embeddings": True,
            }
        )
    )
    facts = model_facts(config)
    total = memory_sum(config, facts.weight_bytes, 0, load_device("rtx_4090"))
    assert available_kv_bytes(config, facts, load_device("rtx_4090")) == [total.available]


def test_the_cpu_has_no_cuda_context(simulate, folder_of):
    simulate("cpu")
    config = resolve(folder_of(LLAMA_31_8B))
    total = memory_sum(config, model_facts(config).weight_bytes, 0, load_device("cpu"))
    assert (total.context, total.collectives) == (0, 0)
