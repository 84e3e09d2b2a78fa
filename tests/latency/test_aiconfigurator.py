"""Measured kernels: how a step looks them up, what is refused, and the real tables."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from latency_batches import DENSE, add, decode, prefill, step_of

from vllm.sim.devices.load import load_device
from vllm.sim.errors import LatencyError
from vllm.sim.latency.aiconfigurator import MeasuredKernels, build_aiconfigurator
from vllm.sim.latency.communication import AllReduce
from vllm.sim.latency.curve import Curve, Surface
from vllm.sim.latency.hf_config import shape_from_hf_config
from vllm.sim.latency.host import HostTime
from vllm.sim.latency.kernel_tables import KernelTables
from vllm.sim.records import ScheduledRequest

H100 = load_device("h100_sxm")
SHAPE = shape_from_hf_config(DENSE)

TABLES = KernelTables(
    linear=Curve([1, 4096], [100, 4195]),  # 99 + tokens
    communication=Curve([1, 4096], [7, 7]),
    lm_head=Curve([1, 256], [50, 50]),
    prefill_attention=Curve([0, 10**7], [10, 10 + 10**4]),  # 10 + pairs / 1000
    decode_attention=Surface([1, 256], [1, 10**5], [[1, 10**5], [256, 256 * 10**5]]),
)
NO_HOST = HostTime(0.0, 0.0)


def test_a_step_is_the_sum_of_its_look_ups() -> None:
    model = MeasuredKernels(TABLES, SHAPE, NO_HOST)
    assert model.step_us(decode(8, 100)) == pytest.approx(99 + 8 + 7 + 50 + 800)
    long = prefill(2000)
    assert model.step_us(long) == pytest.approx(99 + 2000 + 7 + 50 + 10 + long.prefill_pairs / 1000)


def test_a_mixed_step_sums_attention_and_shares_the_rest() -> None:
    model = MeasuredKernels(TABLES, SHAPE, NO_HOST)
    long = prefill(2000)
    mixed = model.step_us(add(long, decode(8, 100)))
    assert mixed == pytest.approx(model.step_us(long) + 8 + 800)


def test_prompts_side_by_side_count_by_their_pairs() -> None:
    model = MeasuredKernels(TABLES, SHAPE, NO_HOST)
    apart = model.step_us(prefill(3000, count=2))
    joined = model.step_us(prefill(6000))
    assert joined - apart == pytest.approx(9000)


def test_a_short_suffix_reads_its_whole_prefix() -> None:
    model = MeasuredKernels(TABLES, SHAPE, NO_HOST)
    short = prefill(16, cached=50_000)
    assert short.prefill_pairs / 1000 + 10 < 50_016
    assert model.step_us(short) == pytest.approx(99 + 16 + 7 + 50 + 50_016)


def test_host_and_communication_are_explicit() -> None:
    shape = shape_from_hf_config(DENSE, tp=2)
    model = MeasuredKernels(TABLES, shape, HostTime(1000.0, 10.0), AllReduce(20.0, 1e12))
    assert model.step_us(decode(8, 100)) == pytest.approx(
        99 + 8 + 50 + 800 + 1000 + 80 + 66 * 20, abs=0.1
    )
    assert model.step_time(step_of()).duration_ns == 1_000_000


@pytest.mark.parametrize(
    ("batch", "inside"),
    [
        (decode(256, 10**5), True),
        (decode(257, 100), False),
        (decode(2, 10**5 + 1), False),
        (prefill(4096), True),
        (prefill(4097), False),
        (prefill(2000, cached=5000), False),  # pairs
        (prefill(1, cached=10**5), False),
    ],
)
def test_domain_is_that_of_the_tables(batch: Any, inside: bool) -> None:
    assert (batch in TABLES) is inside


def test_domain_reaches_the_step_time() -> None:
    model = MeasuredKernels(TABLES, SHAPE)
    assert model.step_time(step_of(ScheduledRequest("r", 1, 9, "decode"))).in_domain
    assert not model.step_time(step_of(ScheduledRequest("r", 1, 10**6, "decode"))).in_domain


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}},
            "block-scaled FP8 are wrong",
        ),
        (
            {"kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
             "v_head_dim": 128},
            "multi-head latent attention",
        ),
    ],
)  # fmt: skip
def test_refusals(change: dict[str, Any], message: str) -> None:
    with pytest.raises(LatencyError, match=message):
        build_aiconfigurator("", H100, shape_from_hf_config({**DENSE, **change}))


def test_refuses_a_device_without_tables() -> None:
    with pytest.raises(LatencyError, match="not for rtx_4090: use roofline"):
        build_aiconfigurator("", load_device("rtx_4090"), SHAPE)


def test_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiconfigurator_core", None)
    monkeypatch.delitem(sys.modules, "aiconfigurator_core.sdk", raising=False)
    with pytest.raises(LatencyError, match=r"pip install aiconfigurator-core==0\.12\.0"):
        build_aiconfigurator("", H100, SHAPE)


class TestRealTables:
    @pytest.fixture(autouse=True)
    def library(self) -> None:
        pytest.importorskip("aiconfigurator_core")

    def test_tables_agree_with_the_library(self) -> None:
        from aiconfigurator_core.sdk import EngineHandle

        model = build_aiconfigurator("host_us=0", H100, SHAPE)
        # A shape of these widths is Llama 3.1 8B but for 256 words.
        handle = EngineHandle.compile(
            "meta-llama/Meta-Llama-3.1-8B", "h100_sxm", "vllm", backend_version="current"
        )
        for tokens in (100, 1500, 8000):
            whole_us = 1000 * handle.predict_prefill_latency(1, tokens, 0)
            assert model.step_us(prefill(tokens)) == pytest.approx(whole_us, rel=0.03)
        for requests, kv_tokens in ((1, 500), (50, 1500), (200, 3000)):
            whole_us = 1000 * handle.predict_decode_latency(requests, kv_tokens - 1, 2)
            assert model.step_us(decode(requests, kv_tokens)) == pytest.approx(whole_us, rel=0.03)

    def test_two_models_are_two_models(self) -> None:
        small = shape_from_hf_config({**DENSE, "num_hidden_layers": 8})
        one, other = (build_aiconfigurator("host_us=0", H100, shape) for shape in (SHAPE, small))
        assert one.step_us(prefill(2048)) > 3 * other.step_us(prefill(2048))

    def test_pcie_communication_is_computed(self) -> None:
        shape = shape_from_hf_config(DENSE, tp=2)
        nvlink = build_aiconfigurator("", H100, shape)
        pcie = build_aiconfigurator("", load_device("rtx_pro_6000_server"), shape)
        given = build_aiconfigurator("allreduce_us=9", H100, shape)
        assert "as measured" in nvlink.describe()
        assert "by rate" in pcie.describe()
        assert "by rate" in given.describe()

    def test_refuses_what_the_library_does_not_know(self) -> None:
        config = {**DENSE, "architectures": ["MistralForCausalLM"], "model_type": "mistral"}
        with pytest.raises(LatencyError, match="cannot time MistralForCausalLM on h100_sxm"):
            build_aiconfigurator("", H100, shape_from_hf_config(config))
