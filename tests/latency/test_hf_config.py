"""Shapes from Hugging Face configs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from latency_batches import DENSE, data_folder

from vllm.sim.errors import LatencyError
from vllm.sim.latency.hf_config import shape_from_hf_config
from vllm.sim.latency.shape import Attention

MIXTURE = {
    **DENSE,
    "num_experts": 64,
    "num_experts_per_tok": 4,
    "moe_intermediate_size": 1024,
}


def test_dense() -> None:
    shape = shape_from_hf_config(DENSE, tp=2)
    assert shape.attention == (Attention(32, 32, 8, 128),)
    assert shape.attention_params == 32 * 4096 * 128 * (32 + 8 + 8 + 32)
    assert shape.dense_params == 32 * 3 * 4096 * 14336
    assert shape.params == pytest.approx(8.03e9, rel=0.01)
    assert shape.weight_bytes_per_rank == pytest.approx(8.03e9, rel=0.01)  # 2 bytes on 2 ranks
    assert (shape.kv_bytes, shape.compute) == (2, "bf16")


def test_mixture_of_experts() -> None:
    shape = shape_from_hf_config(MIXTURE)
    assert shape.experts is not None
    assert (shape.experts.layers, shape.dense_layers, shape.intermediate) == (32, 0, 0)
    assert shape.expert_params == 3 * 4096 * 1024


def test_experts_in_some_layers() -> None:
    config = {**MIXTURE, "first_k_dense_replace": 3, "n_shared_experts": 2}
    shape = shape_from_hf_config(config)
    assert shape.experts is not None
    assert (shape.experts.layers, shape.dense_layers) == (29, 3)
    assert shape.experts.shared_intermediate == 2048


def test_windows() -> None:
    types = ["sliding_attention", "full_attention"] * 16
    shape = shape_from_hf_config({**DENSE, "layer_types": types, "sliding_window": 128})
    assert shape.attention == (Attention(16, 32, 8, 128, 128), Attention(16, 32, 8, 128))
    everywhere = shape_from_hf_config({**DENSE, "sliding_window": 4096})
    assert everywhere.attention == (Attention(32, 32, 8, 128, 4096),)
    unused = {**DENSE, "sliding_window": 4096, "use_sliding_window": False}
    assert shape_from_hf_config(unused).attention == (Attention(32, 32, 8, 128),)


def test_text_config_is_what_counts() -> None:
    nested = {"text_config": DENSE, "vision_config": {"hidden_size": 7}, "model_type": "both"}
    assert shape_from_hf_config(nested).hidden == 4096


def test_plain_feed_forward() -> None:
    config = {**DENSE, "model_type": "opt", "intermediate_size": None, "ffn_dim": 16384}
    assert shape_from_hf_config(config).dense_params == 32 * 2 * 4096 * 16384


@pytest.mark.parametrize(
    ("quantization", "weight_bytes", "compute"),
    [
        (None, 2, "bf16"),
        ({"quant_method": "fp8"}, 1, "fp8"),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, (4 + 16 / 128) / 8, "bf16"),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1}, 1, "bf16"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, 4.5 / 8, "fp4"),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {
                    "group_0": {"weights": {"num_bits": 8}, "input_activations": {"num_bits": 8}}
                },
            },
            1,
            "fp8",
        ),
    ],
)
def test_quantization(quantization: Any, weight_bytes: float, compute: str) -> None:
    shape = shape_from_hf_config({**DENSE, "quantization_config": quantization})
    assert (shape.weight_bytes, shape.compute) == (weight_bytes, compute)


def test_four_bit_experts_only() -> None:
    shape = shape_from_hf_config({**MIXTURE, "quantization_config": {"quant_method": "mxfp4"}})
    assert shape.experts is not None
    assert (shape.weight_bytes, shape.experts.weight_bytes) == (2, 4.25 / 8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_size": None}, "has no hidden_size"),
        ({"vocab_size": None}, "has no vocab_size"),
        ({"torch_dtype": "int3"}, "unknown dtype 'int3'; known are float32"),
        ({"quantization_config": {"quant_method": "magic"}}, "quantization 'magic' is not known"),
        ({"layer_types": ["mamba"] * 32}, "layers of type mamba are not modelled"),
    ],
)
def test_what_cannot_be_derived(change: dict[str, Any], message: str) -> None:
    with pytest.raises(LatencyError, match=message):
        shape_from_hf_config({**DENSE, **change})


def test_layout() -> None:
    with pytest.raises(LatencyError, match="tp and pp must be at least 1, got 0 and 1"):
        shape_from_hf_config(DENSE, tp=0)


# Billions of parameters, as their makers publish them; text part only.
PUBLISHED = {
    "Qwen--Qwen3-0.6B": 0.6,
    "Qwen--Qwen3-32B": 32.8,
    "Qwen--Qwen3-30B-A3B": 30.5,
    "meta-llama--Meta-Llama-3.1-8B": 8.03,
    "openai--gpt-oss-20b": 20.9,
    "google--gemma-4-26B-A4B": 25.2,
    "deepseek-ai--DeepSeek-V3": 671.0,
}


@pytest.mark.parametrize(("name", "billions"), PUBLISHED.items())
def test_parameter_counts_of_real_models(name: str, billions: float) -> None:
    path = data_folder("model_configs") / f"{name}_config.json"
    shape = shape_from_hf_config(json.loads(path.read_text()))
    assert shape.params / 1e9 == pytest.approx(billions, rel=0.01)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_config_that_went_through_transformers_reads_the_same(name: str, tmp_path: Any) -> None:
    transformers = pytest.importorskip("transformers")
    path = data_folder("model_configs") / f"{name}_config.json"
    (tmp_path / "config.json").write_text(path.read_text())
    loaded = transformers.AutoConfig.from_pretrained(tmp_path).to_dict()
    assert shape_from_hf_config(loaded) == shape_from_hf_config(json.loads(path.read_text()))
