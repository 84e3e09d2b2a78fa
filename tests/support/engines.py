"""Engines in this process, real and simulated, that differ in nothing but the executor."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from .cuda_stubs import cuda_streams_on_a_cpu

# The engine core in this process; request ids as they were given; a known seed of block hashes.
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_DISABLE_REQUEST_ID_RANDOMIZATION": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "PYTHONHASHSEED": "0",
}


@contextmanager
def running_engine(
    model: Path, *, trace: Path | None = None, async_scheduling: bool = False, **arguments: Any
) -> Iterator[Any]:
    """An ``LLMEngine``: real, or simulated where a trace is given; shut down at the end.

    Args:
        model: A model folder.
        trace: What the simulated engine answers from.
        async_scheduling: Schedule a step while the one before it runs. The CPU platform
            switches this off while it resolves the configuration, so it is set after that.
        arguments: Further ``EngineArgs``.
    """
    from vllm.engine.arg_utils import EngineArgs
    from vllm.v1.engine.llm_engine import LLMEngine
    from vllm.v1.executor import Executor

    if trace is not None:
        simulator = {
            "use_simulator": True, "sim_trace_path": str(trace), "sim_device": "cpu",
            "sim_latency": "instant",
        }  # fmt: skip
        arguments = simulator | arguments
    with ExitStack() as stack:
        # An engine collects garbage several times at its start and end. With torch and vLLM
        # imported that takes longer than many a test; Python collects by itself now and then.
        stack.enter_context(mock.patch("gc.collect", return_value=0))
        stack.enter_context(mock.patch.dict(os.environ, ENVIRONMENT))
        if async_scheduling and trace is None:
            stack.enter_context(cuda_streams_on_a_cpu())
        engine_args = EngineArgs(
            model=str(model), dtype="float32", enforce_eager=True, disable_log_stats=True,
            **arguments,
        )  # fmt: skip
        config = engine_args.create_engine_config()
        config.scheduler_config.async_scheduling = async_scheduling
        engine = LLMEngine(
            config, Executor.get_class(config), log_stats=False, multiprocess_mode=False
        )
        stack.callback(engine.engine_core.shutdown)
        yield engine


def core_of(engine: Any) -> Any:
    """The ``EngineCore`` of an in-process engine."""
    return engine.engine_core.engine_core
