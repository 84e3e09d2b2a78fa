"""Which scripts run under which configuration. One engine plays the scripts of its setup in
turn, without a reset in between: what one leaves in the cache, the next one finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from support.script import Script

from . import scenarios as s

Scripts = Mapping[str, Callable[[], Script]]


@dataclass(frozen=True)
class Setup:
    """A configuration, for the real engine and for the simulated one."""

    name: str
    scripts: Scripts
    model: str = "llama"  # of models.save_model
    async_scheduling: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)  # EngineArgs

    def engine_arguments(self) -> dict[str, Any]:
        return {
            "block_size": 32, "num_gpu_blocks_override": 96, "max_model_len": 512,
            "max_num_seqs": 8, "max_num_batched_tokens": 256, **self.arguments,
        }  # fmt: skip


_EVERYTHING: Scripts = {
    "mixed lengths": s.mixed_lengths,
    "staggered arrivals": s.staggered,
    "shared prefixes": s.shared_prefixes,
    "turns": s.turns,
    "n = 3": s.several_answers,
    "endings": s.endings,
    "aborts": s.aborts,
    "structured output": s.grammars,
    "random traffic": partial(s.random_traffic, 1),
}
_CHUNKS: Scripts = {
    "chunked prefill": s.chunked_prefill,
    "aborts": s.aborts,
    "random traffic": partial(s.random_traffic, 2),
}
_CROWD: Scripts = {
    "prefix sharing with eviction": s.shared_prefixes,
    "KV exhaustion with preemption": s.exhaustion,
    "n = 3": s.several_answers,
    "aborts": s.aborts,
    "random traffic": partial(s.random_traffic, 3),
}
_RANKED: Scripts = {
    "priorities": s.priorities,
    "random traffic": partial(s.random_traffic, 4, priority=True),
}
_SHORT: Scripts = {
    "staggered arrivals": s.staggered,
    "shared prefixes": s.shared_prefixes,
    "KV exhaustion with preemption": s.exhaustion,
    "aborts": s.aborts,
    "random traffic": partial(s.random_traffic, 5),
}
_CROWDED = {"num_gpu_blocks_override": 17}  # 16 blocks of 32: one request of max_model_len
_BY_PRIORITY = _CROWDED | {"scheduling_policy": "priority"}
_UNCACHED = _CROWDED | {"enable_prefix_caching": False}
_32_A_STEP = {"max_num_batched_tokens": 32}
_CHUNKS_OF_24 = {"long_prefill_token_threshold": 24}
_OF_128 = {"block_size": 128, "num_gpu_blocks_override": 7}
# The CPU's only other size is that of the kernel for latent attention which any CPU has, and which
# is to be named where there is AMX: the one for AMX takes 32, and no float32.
_OF_16 = {"block_size": 16, "num_gpu_blocks_override": 34, "attention_backend": "CPU_MLA"}
_WINDOW = {"num_gpu_blocks_override": 19}
_MIXED = {"num_gpu_blocks_override": 40}  # two groups share them


def _sync_and_async(name: str, *about: Any, **more: Any) -> Iterator[Setup]:
    yield Setup(name, *about, **more)
    yield Setup(f"{name}, async", *about, **more, async_scheduling=True)


SETUPS = (
    *_sync_and_async("blocks of 32", _EVERYTHING),
    *_sync_and_async("32 tokens a step", _CHUNKS, arguments=_32_A_STEP),
    Setup("prefill chunks of at most 24", _CHUNKS, arguments=_CHUNKS_OF_24),
    *_sync_and_async("few blocks", _CROWD, arguments=_CROWDED),
    *_sync_and_async("few blocks, by priority", _RANKED, arguments=_BY_PRIORITY),
    Setup("few blocks, prefix caching off", _CROWD, arguments=_UNCACHED),
    Setup("blocks of 128", _SHORT, arguments=_OF_128),
    *_sync_and_async("blocks of 16, latent attention", _SHORT, "mla", arguments=_OF_16),
    Setup("sliding window", _SHORT, "window", arguments=_WINDOW),
    *_sync_and_async("full and sliding layers", _SHORT, "mixed", arguments=_MIXED),
)


def setup_named(name: str) -> Setup:
    return next(setup for setup in SETUPS if setup.name == name)
