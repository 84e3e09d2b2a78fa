"""Step times from the device's peaks and the model's shape, with nothing measured on them.

Each part of a step takes the time of its arithmetic and of its memory traffic, whichever
is longer, rounded where they meet: the root of the sum of their squares. The efficiencies
say how much of a peak real kernels reach. docs/latency.md has the formulas and the errors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from ..devices.device import Device
from ..records import Composition, StepRecord
from .communication import (
    COMMUNICATION_KEYS,
    AllReduce,
    check_layout,
    communication_us,
    read_all_reduce,
)
from .host import HOST_KEYS, HostTime, read_host
from .model import StatelessModel, StepTime
from .parameters import Parameters
from .shape import Attention, Compute, ModelShape
from .unsplit_attention import KEY_WALK_US, MIXED_DECODE_FACTOR, is_unsplit

KEYS = (*HOST_KEYS, *COMMUNICATION_KEYS, "compute_efficiency", "memory_efficiency")


@dataclass(frozen=True)
class Efficiencies:
    """Parts of the peaks that kernels reach, and what a kernel takes before it moves anything.

    From two measured sets of kernels: RTX PRO 6000 under vLLM 0.19, and the H100 tables of
    aiconfigurator-core 0.12. Where the two differ, the middle.
    """

    compute: float = 0.80  # dense matrix products of 1,024 rows: 0.78 and 0.87
    expert_compute: float = 0.40  # grouped products of experts: 0.37 to 0.53
    memory: float = 0.88  # reading weights: 0.84 to 0.91 and 0.90 to 0.94
    attention_compute: float = 0.58  # prefill attention of long chunks: 0.66 and 0.51
    attention_memory: float = 0.92  # decode attention of long contexts: 0.93 and 0.92
    matrix_us: float = 4.0  # a matrix product, on top
    attention_us: float = 10.0  # decode attention of a layer, on top: 12 and 8
    attention_request_us: float = 0.2  # and for each request in it: 0.2 and 0.17
    prefill_attention_us: float = 15.0  # prefill attention of a layer, on top: 25 and 10
    small_us: float = 2.5  # a norm, an activation or a rotation, at least
    small_traffic: float = 0.5  # of their traffic; the rest stays in the L2 cache


class Roofline(StatelessModel):
    """See the module. All steps are in its domain: it was fitted on none."""

    def __init__(
        self,
        device: Device,
        shape: ModelShape,
        host: HostTime | None = None,
        all_reduce: AllReduce | None = None,
        efficiencies: Efficiencies | None = None,
    ) -> None:
        check_layout(device, shape)
        self._device, self._shape = device, shape
        self._host = host or HostTime()
        self._all_reduce = all_reduce or read_all_reduce(Parameters("roofline", "", KEYS), device)
        self._part = part = efficiencies or Efficiencies()
        bytes_per_us, tp = device.memory_bandwidth / 1e6, shape.tp
        self._weights_per_us = bytes_per_us * part.memory
        self._kv_per_us = bytes_per_us * part.attention_memory
        self._small_per_us = bytes_per_us / part.small_traffic
        self._sampler_per_us = bytes_per_us
        self._linear_flops_per_us = _peak_flops(device, shape.compute) * part.compute / 1e6
        plain: Compute = "fp32" if shape.activation_bytes == 4 else "bf16"
        peak = _peak_flops(device, plain) / 1e6
        self._output_flops_per_us = peak * part.compute
        self._attention_flops_per_us = peak * part.attention_compute
        self._linear_params = (shape.attention_params + shape.dense_params) / tp
        self._matrices = 2 * (shape.layers + shape.dense_layers)
        if shape.experts is not None:
            self._matrices += shape.experts.layers * (3 if shape.experts.shared_intermediate else 1)
            # Experts of four bits are widened before they are multiplied.
            widened = shape.experts.weight_bytes < 1 and shape.compute != "fp4"
            peak = _peak_flops(device, plain if widened else shape.compute) / 1e6
            self._expert_flops_per_us = peak * part.expert_compute
        self._unsplit = is_unsplit(device)
        self._mixed_factor = MIXED_DECODE_FACTOR if self._unsplit else 1.0
        self._layers = tuple(map(self._attention_layers, shape.attention))

    def step_time(self, step: StepRecord) -> StepTime:
        return StepTime(round(self.step_us(step.composition()) * 1000))

    def step_us(self, batch: Composition) -> float:
        """Microseconds for a batch, host included."""
        requests = batch.prefills + batch.decodes
        host_us = self._host.step_us + self._host.request_us * requests
        return host_us + sum(self.parts_us(batch).values()) if requests else host_us

    def parts_us(self, batch: Composition) -> dict[str, float]:
        """Microseconds on the device, part by part."""
        tokens = batch.prefill_tokens + batch.decodes
        requests = batch.prefills + batch.decodes
        return {
            "linear": self._linear_us(tokens),
            "experts": self._experts_us(tokens),
            "small kernels": self._small_us(tokens),
            "prefill attention": self._prefill_attention_us(batch),
            "decode attention": self._decode_attention_us(batch),
            "lm_head": self._lm_head_us(requests),
            "sampler": self._sampler_us(requests),
            "communication": communication_us(self._shape, self._all_reduce, tokens, requests),
        }

    def describe(self) -> str:
        shape = self._shape
        return (
            f"roofline of {self._device.name} for {shape.params / 1e9:.2f}B parameters, "
            f"tp {shape.tp}, pp {shape.pp}; {self._host.describe()}"
        )

    def _linear_us(self, tokens: int) -> float:
        params = self._linear_params
        compute_us = 2 * params * tokens / self._linear_flops_per_us
        memory_us = params * self._shape.weight_bytes / self._weights_per_us
        return math.hypot(compute_us, memory_us) + self._matrices * self._part.matrix_us

    def _experts_us(self, tokens: int) -> float:
        experts, shape = self._shape.experts, self._shape
        if experts is None:
            return 0.0
        params = experts.layers * shape.expert_params / shape.tp
        missed = (1 - experts.per_token / experts.count) ** tokens
        touched = experts.count * (1 - missed)
        compute_us = 2 * params * experts.per_token * tokens / self._expert_flops_per_us
        memory_us = params * touched * experts.weight_bytes / self._weights_per_us
        return math.hypot(compute_us, memory_us) + 2 * experts.layers * self._part.matrix_us

    def _small_us(self, tokens: int) -> float:
        """Two norms, an activation and a rotation in each layer."""
        shape = self._shape
        width = 8 * shape.hidden * shape.layers  # the norms read and write two streams
        width += 3 * shape.intermediate * shape.dense_layers // shape.tp
        if shape.experts is not None:
            routed = shape.experts.per_token * shape.experts.intermediate
            width += 3 * (routed + shape.experts.shared_intermediate) * shape.experts.layers
        for group in shape.attention:
            heads = (group.heads + group.kv_heads) // shape.tp
            width += 2 * heads * group.head_dim * group.layers
        traffic_us = tokens * width * shape.activation_bytes / self._small_per_us
        return max(4 * shape.layers * self._part.small_us, traffic_us)

    def _attention_layers(self, group: Attention) -> _AttentionLayers:
        """What one (query, key) pair and one KV token cost in these layers, on one rank."""
        shape, mla = self._shape, self._shape.latent_attention
        heads = group.heads / shape.tp
        if mla is None:
            pair_flops = 4 * heads * group.head_dim
            kv_heads = max(group.kv_heads / shape.tp, 1)  # fewer heads than ranks are copied
            kv_bytes = 2 * kv_heads * group.head_dim * shape.kv_bytes
            kv_flops = 0.0  # a few queries a KV head: never what is waited for
        else:
            query_width = mla.qk_nope_head_dim + mla.qk_rope_head_dim
            pair_flops = 2 * heads * (query_width + mla.v_head_dim)
            kv_bytes = (mla.kv_lora_rank + mla.qk_rope_head_dim) * shape.kv_bytes  # on every rank
            kv_flops = 2 * heads * (2 * mla.kv_lora_rank + mla.qk_rope_head_dim)
        return _AttentionLayers(
            group.layers,
            group.window,
            pair_us=pair_flops / self._attention_flops_per_us,
            kv_us=math.hypot(kv_bytes / self._kv_per_us, kv_flops / self._attention_flops_per_us),
        )

    def _prefill_attention_us(self, batch: Composition) -> float:
        if not batch.prefills:
            return 0.0
        total_us = 0.0
        for group in self._layers:
            pairs = batch.prefill_pairs
            keys = batch.prefill_cached_tokens + batch.prefill_tokens
            if group.window is not None:
                pairs = min(pairs, batch.prefill_tokens * group.window)
                keys = min(keys, batch.prefills * group.window + batch.prefill_tokens)
            work_us = math.hypot(pairs * group.pair_us, keys * group.kv_us)
            if self._unsplit:
                walk_us = keys / batch.prefills * KEY_WALK_US
                work_us = max(work_us, walk_us)
            total_us += group.layers * (self._part.prefill_attention_us + work_us)
        return total_us

    def _decode_attention_us(self, batch: Composition) -> float:
        if not batch.decodes:
            return 0.0
        total_us = 0.0
        fixed_us = self._part.attention_us + self._part.attention_request_us * batch.decodes
        for group in self._layers:
            keys = batch.decode_kv_tokens
            if group.window is not None:
                keys = min(keys, batch.decodes * group.window)
            work_us = keys * group.kv_us * (self._mixed_factor if batch.prefills else 1.0)
            total_us += group.layers * (fixed_us + work_us)
        return total_us

    def _lm_head_us(self, requests: int) -> float:
        shape = self._shape
        params = shape.vocab_params / shape.tp
        compute_us = 2 * params * requests / self._output_flops_per_us
        memory_us = params * shape.activation_bytes / self._weights_per_us
        return math.hypot(compute_us, memory_us) + self._part.matrix_us

    def _sampler_us(self, requests: int) -> float:
        """Ten small kernels, and the logits read and written in 32 bits."""
        traffic_us = 2 * requests * self._shape.vocab * 4 / self._sampler_per_us
        return 10 * self._part.small_us + traffic_us


class _AttentionLayers(NamedTuple):
    layers: int
    window: int | None
    pair_us: float  # of a layer, a (query, key) pair
    kv_us: float  # of a layer, a KV token read


def _peak_flops(device: Device, compute: Compute) -> float:
    """FLOP/s; a device without units for few bits widens them to 16."""
    if compute == "fp32":
        return device.bf16_flops / 2
    if compute == "fp8" and device.fp8_flops is not None:
        return device.fp8_flops
    if compute == "fp4" and device.fp4_flops is not None:
        return device.fp4_flops
    return device.bf16_flops


def build_roofline(text: str, device: Device, shape: ModelShape) -> Roofline:
    """``roofline[:host_us=…,request_us=…,allreduce_us=…,allreduce_gbps=…,compute_efficiency=…,…]``.

    Raises:
        LatencyError: A parameter is wrong, or the device cannot hold the layout.
    """
    given = Parameters("roofline", text, KEYS)
    efficiencies = Efficiencies(
        compute=given.number("compute_efficiency", Efficiencies.compute, above=0),
        memory=given.number("memory_efficiency", Efficiencies.memory, above=0),
    )
    all_reduce = read_all_reduce(given, device)
    return Roofline(device, shape, read_host(given), all_reduce, efficiencies)
