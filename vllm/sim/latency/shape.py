"""What of a model its step time depends on: counts and widths, on one parallel layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Compute = Literal["fp32", "bf16", "fp8", "fp4"]


@dataclass(frozen=True)
class Attention:
    """Layers whose attention has the same form.

    ``window`` is how many tokens back a query looks; None: all of them.
    """

    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    window: int | None = None


@dataclass(frozen=True)
class LatentAttention:
    """Multi-head latent attention (DeepSeek): one compressed KV vector a token, for all heads."""

    kv_lora_rank: int
    q_lora_rank: int | None
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int


@dataclass(frozen=True)
class Experts:
    """The expert layers of a mixture-of-experts model."""

    layers: int
    count: int
    per_token: int
    intermediate: int  # width of one expert
    shared_intermediate: int  # width of what every token passes in these layers; 0: nothing
    weight_bytes: float  # a parameter of an expert


@dataclass(frozen=True)
class ModelShape:
    """Facts of one model, and how it is cut: ``tp`` ways across heads and widths, ``pp`` by layers.

    Parameter counts are of the whole model; ``weight_bytes_per_rank`` is of one rank.
    ``hf_config`` is the Hugging Face config that the shape was read from.
    """

    layers: int
    hidden: int
    vocab: int
    attention: tuple[Attention, ...]
    latent_attention: LatentAttention | None
    dense_layers: int  # with a plain feed-forward block
    intermediate: int  # its width
    gated: bool  # three matrices in a feed-forward block, else two
    experts: Experts | None
    tied_embeddings: bool
    weight_bytes: float  # a parameter of the linear layers
    activation_bytes: int  # an activation, an embedding, an lm_head parameter
    kv_bytes: float  # a KV cache element
    compute: Compute  # what the linear layers multiply in
    tp: int = 1
    pp: int = 1
    weight_bytes_per_rank: float = 0.0
    hf_config: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def matrices(self) -> int:
        return 3 if self.gated else 2

    @property
    def attention_params(self) -> int:
        """Of the q, k, v and output projections of all layers."""
        if self.latent_attention is None:
            return sum(
                item.layers * 2 * self.hidden * item.head_dim * (item.heads + item.kv_heads)
                for item in self.attention
            )
        mla, heads = self.latent_attention, self.attention[0].heads
        query_width = heads * (mla.qk_nope_head_dim + mla.qk_rope_head_dim)
        if mla.q_lora_rank is None:
            query = self.hidden * query_width
        else:
            query = mla.q_lora_rank * (self.hidden + query_width)
        down = self.hidden * (mla.kv_lora_rank + mla.qk_rope_head_dim)
        up = mla.kv_lora_rank * heads * (mla.qk_nope_head_dim + mla.v_head_dim)
        out = heads * mla.v_head_dim * self.hidden
        return self.layers * (query + down + up + out)

    @property
    def dense_params(self) -> int:
        """Of the feed-forward blocks that every token passes."""
        params = self.dense_layers * self.matrices * self.hidden * self.intermediate
        if self.experts is not None:
            shared = self.matrices * self.experts.shared_intermediate
            params += self.experts.layers * self.hidden * (shared + self.experts.count)
        return params

    @property
    def expert_params(self) -> int:
        """Of one expert in one layer."""
        if self.experts is None:
            return 0
        return self.matrices * self.hidden * self.experts.intermediate

    @property
    def vocab_params(self) -> int:
        """Of the lm_head, which is also the embedding where the two are tied."""
        return self.vocab * self.hidden

    @property
    def params(self) -> int:
        total = self.attention_params + self.dense_params
        if self.experts is not None:
            total += self.experts.layers * self.experts.count * self.expert_params
        return total + self.vocab_params * (1 if self.tied_embeddings else 2)

    def estimated_weight_bytes_per_rank(self) -> float:
        """Of the largest rank's share, when nobody has counted: an even cut."""
        size = (self.attention_params + self.dense_params) * self.weight_bytes
        if self.experts is not None:
            count = self.experts.layers * self.experts.count * self.expert_params
            size += count * self.experts.weight_bytes
        vocab = self.vocab_params * (1 if self.tied_embeddings else 2)
        return (size + vocab * self.activation_bytes) / (self.tp * self.pp)

    def with_weight_bytes(self, weight_bytes_per_rank: float) -> ModelShape:
        return replace(self, weight_bytes_per_rank=weight_bytes_per_rank)
