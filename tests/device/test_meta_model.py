"""The real model class on the meta device gives the KV cache that a GPU would give."""

from __future__ import annotations

import copy
import sys
import time

import pytest
import torch
from published_models import LLAMA_31_8B, NEMOTRON_H, QWEN3_14B, TOY, resolve
from vllm import platforms
from vllm.distributed import parallel_state
from vllm.model_executor.layers import rotary_embedding
from vllm.utils import torch_utils
from vllm.v1.attention.backends.utils import resolve_kv_cache_layout
from vllm.v1.core.kv_cache_utils import get_kv_cache_configs

from vllm.sim.engine import meta_model, parallel_ranks
from vllm.sim.engine.meta_model import model_facts
from vllm.sim.errors import DeviceError, UpstreamMovedError

GIB = 1 << 30


def plan(config, bytes_per_rank=40 * GIB):
    """Facts, and the KV cache configs that the engine core makes of them."""
    facts = model_facts(config)
    specs = facts.kv_cache_specs
    layout = resolve_kv_cache_layout(
        config, facts.kv_cache_layouts, [spec for rank in specs for spec in rank.values()]
    )
    config.cache_config.kv_cache_layout = layout.name
    given = copy.deepcopy(specs)  # the engine changes them
    return facts, get_kv_cache_configs(config, given, [bytes_per_rank] * len(given))


# Blocks of 16 tokens in 40 GiB for each rank.
EXPECTED = [
    # model, arguments, blocks, groups, spec kinds, layers by rank, GiB of weights by rank
    ("Qwen--Qwen3-0.6B", {}, 23405, 1, {"FullAttentionSpec"}, [28], [1.120]),
    ("Qwen--Qwen3-32B", {}, 10240, 1, {"FullAttentionSpec"}, [64], [61.034]),
    (
        "Qwen--Qwen3-32B",
        {"tensor_parallel_size": 8},
        81920,
        1,
        {"FullAttentionSpec"},
        [64] * 8,
        [7.639] * 8,
    ),
    (
        "Qwen--Qwen3-32B",
        {"tensor_parallel_size": 2, "pipeline_parallel_size": 2},
        40960,
        1,
        {"FullAttentionSpec"},
        [32] * 4,
        [15.266] * 4,
    ),
    ("Qwen--Qwen3-30B-A3B", {}, 27306, 1, {"FullAttentionSpec"}, [48], [56.880]),
    (
        "Qwen--Qwen3-30B-A3B",
        {"tensor_parallel_size": 8, "enable_expert_parallel": True},
        109226,
        1,
        {"FullAttentionSpec"},
        [48] * 8,
        [7.163] * 8,
    ),
    ("meta-llama--Meta-Llama-3.1-8B", {}, 20480, 1, {"FullAttentionSpec"}, [32], [14.989]),
    (
        "openai--gpt-oss-20b",
        {},
        109226,
        2,
        {"FullAttentionSpec", "SlidingWindowSpec"},
        [24],
        [13.702],
    ),
    ("deepseek-ai--DeepSeek-V3", {}, 38199, 1, {"MLAAttentionSpec"}, [61], [626.940]),
    (
        "deepseek-ai--DeepSeek-V3",
        {"tensor_parallel_size": 8},
        38199,
        1,
        {"MLAAttentionSpec"},
        [61] * 8,
        None,
    ),
    (
        # The multimodal class needs torchvision; its text half has the whole KV cache.
        "google--gemma-4-26B-A4B",
        {"hf_overrides": {"architectures": ["Gemma4ForCausalLM"]}},
        65536,
        6,
        {"FullAttentionSpec", "SlidingWindowSpec"},
        [30],
        None,
    ),
]


@pytest.mark.parametrize(
    ("model", "arguments", "blocks", "groups", "kinds", "layers", "weights"),
    EXPECTED,
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_published_models(
    simulate, folder_of, real_config, model, arguments, blocks, groups, kinds, layers, weights
):
    simulate("h100_sxm")
    config = resolve(folder_of(real_config(model)), **arguments)
    facts, plans = plan(config)
    assert [rank.num_blocks for rank in plans] == [blocks] * len(layers)
    assert len(plans[0].kv_cache_groups) == groups
    assert {type(spec).__name__ for spec in facts.kv_cache_specs[0].values()} == kinds
    assert [len(specs) for specs in facts.kv_cache_specs] == layers
    if weights is not None:
        assert [size / GIB for size in facts.weight_bytes] == pytest.approx(weights, abs=0.001)


def test_latent_attention_takes_the_block_size_of_the_device(simulate, folder_of, real_config):
    """On capability 10 FlashInfer's MLA kernel comes first: blocks of 32 at least."""
    model = folder_of(real_config("deepseek-ai--DeepSeek-V3"))
    sizes = {}
    for device in ("h100_sxm", "b200_sxm", "rtx_pro_6000_server"):
        simulate(device)
        config = resolve(model)
        model_facts(config)
        sizes[device] = config.cache_config.block_size
    assert sizes == {"h100_sxm": 16, "b200_sxm": 32, "rtx_pro_6000_server": 16}
    assert "flashinfer" not in sys.modules


def test_a_block_size_of_the_user_stays(simulate, folder_of):
    simulate("h100_sxm")
    config = resolve(folder_of(QWEN3_14B), block_size=32)
    facts = model_facts(config)
    assert {spec.block_size for spec in facts.kv_cache_specs[0].values()} == {32}


def test_an_fp8_cache_takes_half_the_bytes(simulate, folder_of):
    simulate("h100_sxm")
    model = folder_of(LLAMA_31_8B)
    _, wide = plan(resolve(model))
    _, narrow = plan(resolve(model, kv_cache_dtype="fp8"))
    assert narrow[0].num_blocks == 2 * wide[0].num_blocks


def test_uneven_stages_have_layers_of_their_own(simulate, folder_of):
    simulate("h100_sxm")
    config = resolve(folder_of({**TOY, "num_hidden_layers": 5}), pipeline_parallel_size=2)
    facts = model_facts(config)
    first, last = facts.kv_cache_specs
    assert len(first) + len(last) == 5
    assert not set(first) & set(last)
    assert facts.weight_bytes[0] != facts.weight_bytes[1]


def test_a_build_leaves_nothing_behind(simulate, folder_of, real_config):
    simulate("h100_sxm")
    config = resolve(folder_of(real_config("openai--gpt-oss-20b")), tensor_parallel_size=2)

    def state():
        return {
            "groups": {name: vars(parallel_state)[name] for name in parallel_ranks._GLOBALS},
            "embeddings": dict(rotary_embedding._ROPE_DICT),
            "stream": (torch_utils._aux_stream, torch.cuda.Stream, torch.cuda.Event),
            "dtype": torch.get_default_dtype(),
            "device": torch.empty(0).device,
            "identity": dict(vars(platforms.current_platform)),
            "layers": dict(config.compilation_config.static_forward_context),
            "mode": config.compilation_config.mode,
            "custom ops": dict(config.compilation_config.enabled_custom_ops),
        }

    before = state()
    first = model_facts(config)
    assert state() == before
    assert model_facts(config) == first


def test_a_large_model_takes_less_than_a_second(simulate, folder_of, real_config):
    simulate("h100_sxm")
    config = resolve(folder_of(real_config("Qwen--Qwen3-32B")), tensor_parallel_size=8)
    model_facts(config)  # imports
    started = time.perf_counter()
    model_facts(config)
    assert time.perf_counter() - started < 1


@pytest.fixture
def unbuildable(monkeypatch):
    def fail(**_):
        raise RuntimeError("no such layer")

    monkeypatch.setattr(meta_model, "initialize_model", fail)


def test_full_attention_follows_from_the_config(simulate, folder_of, monkeypatch, caplog):
    simulate("h100_sxm")
    config = resolve(folder_of(LLAMA_31_8B), pipeline_parallel_size=2, kv_cache_dtype="fp8")
    from_class = model_facts(config)

    def fail(**_):
        raise RuntimeError("no such layer")

    monkeypatch.setattr(meta_model, "initialize_model", fail)
    from_config = model_facts(config)
    assert from_config.kv_cache_specs == from_class.kv_cache_specs
    assert from_config.kv_cache_layouts == from_class.kv_cache_layouts
    assert from_config.weight_bytes is None


def test_other_attention_is_refused_with_the_cause(simulate, folder_of, real_config, unbuildable):
    simulate("h100_sxm")
    for name, reason in [
        ("deepseek-ai--DeepSeek-V3", "multi-head latent attention"),
        ("openai--gpt-oss-20b", "sliding or chunked windows"),
    ]:
        config = resolve(folder_of(real_config(name)))
        with pytest.raises(DeviceError, match=f"RuntimeError: no such layer.*{reason}"):
            model_facts(config)


def test_hints_of_other_layers_are_refused(simulate, folder_of, unbuildable):
    simulate("h100_sxm")
    config = resolve(folder_of({**TOY, "mamba_d_state": 128}))
    with pytest.raises(DeviceError, match="mamba_d_state = 128"):
        model_facts(config)


def test_weights_count_as_they_lie_on_the_device(simulate, folder_of):
    """Quantised while loading: bf16 in the checkpoint, a byte each afterwards."""
    simulate("h100_sxm")
    model = folder_of(QWEN3_14B)
    [wide] = model_facts(resolve(model)).weight_bytes
    [narrow] = model_facts(resolve(model, quantization="fp8_per_tensor")).weight_bytes
    embeddings = 2 * 2 * 151936 * 5120  # in and out, not quantised
    assert narrow - embeddings == pytest.approx((wide - embeddings) / 2, rel=0.01)


def test_a_hybrid_model_aligns_its_blocks(simulate, folder_of):
    """A mamba state is larger than 16 tokens of attention: the block grows to hold it."""
    simulate("h100_sxm")
    config = resolve(folder_of(NEMOTRON_H))
    facts, plans = plan(config)
    assert config.cache_config.block_size > 16
    kinds = {type(spec).__name__ for spec in facts.kv_cache_specs[0].values()}
    assert kinds == {"FullAttentionSpec", "MambaSpec"}
    pages = {spec.page_size_bytes for spec in facts.kv_cache_specs[0].values()}
    assert len(pages) == 1
    assert plans[0].num_blocks > 0


def test_without_a_device_nothing_is_built(folder_of):
    with pytest.raises(DeviceError, match="no simulated device is active"):
        model_facts(resolve(folder_of(TOY)))


def test_a_moved_group_is_named(simulate, folder_of, monkeypatch):
    simulate("h100_sxm")
    config = resolve(folder_of(TOY))
    monkeypatch.delattr(parallel_state, "_EPLB")
    with pytest.raises(UpstreamMovedError, match="_EPLB"):
        model_facts(config)
