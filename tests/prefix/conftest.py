"""Runs of the prefix laboratory on real engines, each made once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.paths import DEMO_MODEL
from support.traces import write_trace

Facts = dict[str, Any]
RunPrefix = Callable[..., Facts]

BLOCK = 16


def sessions(seed: int = 0, count: int = 10, turns: int = 12) -> list[dict[str, Any]]:
    """Conversations that grow by whole blocks, one turn at a time, in random order."""
    draw = random.Random(seed)
    chains = [[0, 1, 2] for _ in range(count)]  # a system prompt that all share
    fresh = 100
    rows = []
    for turn in range(count * turns):
        chain = draw.choice(chains)
        for _ in range(draw.randint(1, 3)):
            chain.append(fresh)
            fresh += 1
        rows.append(
            {
                "input_length": BLOCK * len(chain) - draw.randint(0, 7), "hash_ids": list(chain),
                "block_size": BLOCK, "output_length": 4, "timestamp": 2.0 * turn,
            }
        )  # fmt: skip
    return rows


@pytest.fixture(scope="session")
def sessions_trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_trace(tmp_path_factory.mktemp("trace") / "sessions.jsonl", sessions())


@pytest.fixture(scope="session")
def run_prefix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunPrefix]:
    """``run_prefix(trace, infinite=…, blocks=…, …)``; the folder is in ``facts["out"]``."""
    from vllm.engine.arg_utils import EngineArgs

    from vllm.sim.engine.prefix_options import PrefixOptions
    from vllm.sim.engine.prefix_run import run_prefix as run

    def once(
        trace: Path, blocks: int | None = 512, latency: str = "instant", **options: Any
    ) -> Facts:
        out = tmp_path_factory.mktemp("prefix")
        arguments: dict[str, Any] = {
            "model": str(DEMO_MODEL), "max_model_len": 1024, "sim_device": "h100_sxm",
            "sim_latency": latency, "block_size": BLOCK,
        }  # fmt: skip
        if not options.get("infinite"):
            arguments["num_gpu_blocks_override"] = blocks
        prefix_options = PrefixOptions(trace, out, **{"name": trace.stem, **options})
        return {**run(EngineArgs(**arguments), prefix_options), "out": out}

    yield once


@pytest.fixture(scope="session")
def infinite(run_prefix: RunPrefix, sessions_trace: Path) -> Facts:
    """All sessions in a cache that holds everything."""
    return run_prefix(sessions_trace, infinite=True, latency="roofline")
