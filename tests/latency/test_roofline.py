"""The roofline obeys its physics, and comes near what was measured."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from latency_batches import DENSE, add, data_folder, decode, prefill, step_of

from vllm.sim.devices.load import load_device
from vllm.sim.errors import LatencyError
from vllm.sim.latency.hf_config import shape_from_hf_config
from vllm.sim.latency.host import HostTime
from vllm.sim.latency.roofline import Efficiencies, Roofline, build_roofline
from vllm.sim.records import Composition, ScheduledRequest

H100 = load_device("h100_sxm")
RTX = load_device("rtx_pro_6000_server")
SHAPE = shape_from_hf_config(DENSE)
NO_HOST = HostTime(0.0, 0.0)
MODEL = Roofline(H100, SHAPE, NO_HOST)

PERFECT = Efficiencies(
    compute=1, memory=1, attention_compute=1, attention_memory=1,
    matrix_us=0, attention_us=0, attention_request_us=0, prefill_attention_us=0, small_us=0,
)  # fmt: skip


def test_at_full_efficiency_a_lone_decode_waits_for_the_weights() -> None:
    model = Roofline(H100, SHAPE, NO_HOST, efficiencies=PERFECT)
    read_bytes = 2 * (SHAPE.params - SHAPE.vocab_params)  # the embedding is looked up, not read
    assert model.step_us(decode(1, 1)) == pytest.approx(read_bytes / 3.35e6, rel=0.01)


def test_at_full_efficiency_a_long_prompt_waits_for_arithmetic() -> None:
    model = Roofline(H100, SHAPE, NO_HOST, efficiencies=PERFECT)
    tokens = 16384
    parts = model.parts_us(prefill(tokens))
    flops = 2 * tokens * (SHAPE.attention_params + SHAPE.dense_params)
    assert parts["linear"] == pytest.approx(flops / 989.4e6, rel=0.01)
    pairs = tokens * (tokens + 1) / 2
    attention_flops = 32 * 4 * 4096 * pairs  # two products of head_dim, for 32 heads of 128
    assert parts["prefill attention"] == pytest.approx(attention_flops / 989.4e6, rel=0.01)


@pytest.mark.parametrize(
    ("less", "more"),
    [
        (decode(1, 1000), decode(2, 1000)),
        (decode(64, 1000), decode(64, 2000)),
        (prefill(512), prefill(1024)),
        (prefill(512), prefill(512, cached=4096)),
        (decode(32, 1000), add(decode(32, 1000), prefill(256))),
    ],
)
def test_more_work_takes_longer(less: Composition, more: Composition) -> None:
    assert MODEL.step_us(less) < MODEL.step_us(more)


def test_chunks_cost_more_than_the_whole() -> None:
    chunks = sum(MODEL.step_us(prefill(512, cached)) for cached in range(0, 4096, 512))
    assert MODEL.step_us(prefill(4096)) < chunks < 1.5 * MODEL.step_us(prefill(4096))


def test_host_time_is_per_step_and_per_request() -> None:
    model = Roofline(H100, SHAPE, HostTime(300.0, 7.0))
    assert model.step_us(decode(10, 50)) == pytest.approx(MODEL.step_us(decode(10, 50)) + 370)
    assert model.step_time(step_of()).duration_ns == 300_000


def test_tensor_parallel_ranks_share_the_work_and_talk() -> None:
    two = Roofline(H100, shape_from_hf_config(DENSE, tp=2), NO_HOST)
    alone, shared = MODEL.parts_us(prefill(4096)), two.parts_us(prefill(4096))
    assert alone["communication"] == 0
    assert 2.0 > alone["linear"] / shared["linear"] > 1.9
    assert shared["communication"] > 65 * 6
    slower = Roofline(RTX, shape_from_hf_config(DENSE, tp=2), NO_HOST)
    assert slower.parts_us(prefill(4096))["communication"] > 5 * shared["communication"]


def test_a_pipeline_step_takes_as_long_as_all_its_stages() -> None:
    two = Roofline(H100, shape_from_hf_config(DENSE, pp=2), NO_HOST)
    assert two.step_us(prefill(2048)) == pytest.approx(MODEL.step_us(prefill(2048)), rel=0.01)


def test_windows_bound_what_a_decode_reads() -> None:
    windowed = Roofline(H100, shape_from_hf_config({**DENSE, "sliding_window": 512}), NO_HOST)
    assert windowed.step_us(decode(64, 512)) == MODEL.step_us(decode(64, 512))
    assert windowed.step_us(decode(64, 9999)) == MODEL.step_us(decode(64, 512))
    assert windowed.step_us(prefill(8192)) < MODEL.step_us(prefill(8192))


def test_only_the_experts_touched_are_read() -> None:
    config = {**DENSE, "num_experts": 64, "num_experts_per_tok": 4, "moe_intermediate_size": 2048}
    model = Roofline(H100, shape_from_hf_config(config), NO_HOST)
    one, many = (model.parts_us(decode(n, 1))["experts"] for n in (1, 256))
    assert 8 < many / one < 16


def test_eight_bits_read_half_and_multiply_twice_as_fast() -> None:
    config = {**DENSE, "quantization_config": {"quant_method": "fp8"}}
    eight = Roofline(H100, shape_from_hf_config(config), NO_HOST)
    for batch in (decode(1, 1), prefill(8192)):
        assert 1.8 < MODEL.parts_us(batch)["linear"] / eight.parts_us(batch)["linear"] <= 2.0
    # A100 has no such units: only the reading is halved.
    old = Roofline(load_device("a100_sxm"), shape_from_hf_config(config), NO_HOST)
    old_plain = Roofline(load_device("a100_sxm"), SHAPE, NO_HOST)
    ratio = old_plain.parts_us(prefill(8192))["linear"] / old.parts_us(prefill(8192))["linear"]
    assert ratio == pytest.approx(1.0, abs=0.01)


def test_latent_attention_reads_one_vector_a_token() -> None:
    config = {
        **DENSE, "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64, "v_head_dim": 128, "num_key_value_heads": 32,
    }  # fmt: skip
    model = Roofline(H100, shape_from_hf_config(config), NO_HOST, efficiencies=PERFECT)
    attention_us = model.parts_us(decode(64, 8192))["decode attention"]
    assert attention_us > 64 * 8192 * 576 * 2 * 32 / 3.35e6
    assert attention_us < MODEL.parts_us(decode(64, 8192))["decode attention"]


def test_decodes_beside_a_prefill_read_slower_where_keys_are_not_split() -> None:
    batch = add(decode(64, 4096), prefill(16))
    for device, factor in ((H100, 1.0), (RTX, 1.6)):
        parts = Roofline(device, SHAPE, NO_HOST)
        mixed = parts.parts_us(batch)["decode attention"]
        assert mixed / parts.parts_us(decode(64, 4096))["decode attention"] >= factor


def test_parameters() -> None:
    text = "host_us=0,request_us=1,compute_efficiency=0.4,memory_efficiency=0.44"
    slow = build_roofline(text, H100, SHAPE)
    assert slow.step_us(prefill(8192)) > 1.7 * MODEL.step_us(prefill(8192))
    shape = shape_from_hf_config(DENSE, tp=4)
    tuned = build_roofline("host_us=0,allreduce_us=100,allreduce_gbps=1000", H100, shape)
    assert tuned.parts_us(decode(1, 1))["communication"] == pytest.approx(66 * 100, rel=0.01)
    assert "host 0 us a step" in tuned.describe()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("host=3", "unknown key 'host'; known are host_us"),
        ("host_us=-1", "host_us must be a number, 0 or above"),
        ("allreduce_gbps=0", "allreduce_gbps must be a number above 0"),
        ("compute_efficiency=many", "compute_efficiency must be a number above 0, is 'many'"),
    ],
)
def test_wrong_parameters(text: str, message: str) -> None:
    with pytest.raises(LatencyError, match=message):
        build_roofline(text, H100, SHAPE)


def test_ranks_need_an_interconnect() -> None:
    island = replace(H100, interconnect=None, interconnect_bandwidth=None)
    with pytest.raises(LatencyError, match="no interconnect"):
        Roofline(island, shape_from_hf_config(DENSE, tp=2))


def test_every_step_is_in_domain() -> None:
    step = step_of(ScheduledRequest("r", 1, 10**6, "decode"))
    assert MODEL.step_time(step).in_domain


# Milliseconds of kernels on H100, from aiconfigurator-core's measured tables.
H100_TABLES = [
    ("meta-llama--Meta-Llama-3.1-8B", 1, prefill(2048), 43.5),
    ("meta-llama--Meta-Llama-3.1-8B", 1, decode(1, 1024), 6.18),
    ("meta-llama--Meta-Llama-3.1-8B", 1, decode(64, 1024), 10.3),
    ("Qwen--Qwen3-32B", 2, prefill(2048), 107.0),
    ("Qwen--Qwen3-32B", 2, decode(1, 1024), 13.4),
    ("Qwen--Qwen3-32B", 2, decode(64, 1024), 18.8),
]


@pytest.mark.parametrize(("name", "tp", "batch", "expected_ms"), H100_TABLES)
def test_within_a_tenth_of_measured_kernels(
    name: str, tp: int, batch: Composition, expected_ms: float
) -> None:
    path = data_folder("model_configs") / f"{name}_config.json"
    model = Roofline(H100, shape_from_hf_config(json.loads(path.read_text()), tp=tp), NO_HOST)
    assert model.step_us(batch) / 1000 == pytest.approx(expected_ms, rel=0.1)
