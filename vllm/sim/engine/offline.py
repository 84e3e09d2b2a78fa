"""A whole engine in this process, driven one step at a time.

It is vLLM's own ``LLMEngine``: requests go in by ``add_request``, and ``step`` runs the
engine core's step and the output processor. Whether a model runs in it or the
simulator is the executor's business.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from vllm.config import VllmConfig
from vllm.engine.arg_utils import EngineArgs
from vllm.exceptions import VLLMValidationError
from vllm.inputs.engine import tokens_input
from vllm.outputs import RequestOutput
from vllm.sampling_params import SamplingParams
from vllm.usage.usage_lib import UsageContext
from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs
from vllm.v1.engine.core import EngineCore
from vllm.v1.engine.llm_engine import LLMEngine
from vllm.v1.executor import Executor
from vllm.v1.metrics.loggers import PerEngineStatLoggerFactory

from ..clock import NS_PER_S
from ..errors import SettingsError
from ..trace.schema import TraceHeader
from .activation import take_block_count

_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    # Ids that are made up anew in each run would make equal runs look different.
    "VLLM_DISABLE_REQUEST_ID_RANDOMIZATION": "1",
    "VLLM_NO_USAGE_STATS": "1",
}


class Refused(Exception):
    """The engine does not take a request; the message is vLLM's own."""


class OfflineEngine:
    """An engine that does nothing on its own. Make it with :func:`offline_engine`."""

    def __init__(self, engine: LLMEngine) -> None:
        self.engine = engine
        self.config: VllmConfig = engine.vllm_config
        self._delivered: Sequence[EngineCoreOutput] = ()
        self._by_priority = self.config.scheduler_config.policy == "priority"
        client = engine.engine_core
        self.core: EngineCore = client.engine_core
        get_output = client.get_output

        def tapped() -> EngineCoreOutputs:
            outputs = get_output()
            self._delivered = outputs.outputs
            return outputs

        client.get_output = tapped

    def add(
        self,
        request_id: str,
        prompt_ids: list[int],
        params: SamplingParams,
        arrival_ns: int,
        priority: int = 0,
    ) -> None:
        """Give the engine a request.

        Raises:
            Refused: vLLM refuses it: too long, a token that is none, ….
        """
        try:
            self.engine.add_request(
                request_id,
                tokens_input(prompt_ids),
                params,
                arrival_time=arrival_ns / NS_PER_S,
                priority=priority if self._by_priority else 0,
            )
        except VLLMValidationError as error:
            raise Refused(str(error)) from None

    def has_work(self) -> bool:
        """As vLLM's own loop has it: also while only a step in flight is left to wait for."""
        return self.core.scheduler.has_requests() or bool(self.core.batch_queue)

    def step(self) -> tuple[Sequence[EngineCoreOutput], list[RequestOutput]]:
        """One step of the engine.

        Returns:
            What it delivered, which is nothing while the device's queue fills; and the whole
            outputs of requests that have ended with it, where ``FINAL_ONLY`` was asked for.
        """
        finished = self.engine.step()
        delivered, self._delivered = self._delivered, ()
        return delivered, finished

    def shutdown(self) -> None:
        self.engine.engine_core.shutdown()


@contextmanager
def offline_engine(
    engine_args: EngineArgs,
    context: UsageContext,
    recorded_on: TraceHeader | None = None,
    statistics: list[PerEngineStatLoggerFactory] | None = None,
) -> Iterator[OfflineEngine]:
    """Build an engine, and shut it down at the end.

    Args:
        engine_args: Its ``disable_log_stats`` is ignored: vLLM's statistics read the wall
            clock, and are for those who ask for them.
        context: Whose defaults hold: the API server's or ``LLM``'s.
        recorded_on: The header of the trace, whose KV cache a simulated engine gets.
        statistics: Who is given vLLM's statistics; None switches them off.

    Raises:
        SettingsError: The arguments ask for several engines.
    """
    if engine_args.data_parallel_size > 1:
        raise SettingsError(
            "--data-parallel-size: this verb runs one engine; split the trace among several runs"
        )
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    try:
        config = engine_args.create_engine_config(context)
        if recorded_on is not None:
            take_block_count(config, recorded_on)
        engine = LLMEngine(
            config, Executor.get_class(config), log_stats=statistics is not None,
            usage_context=context, stat_loggers=statistics, multiprocess_mode=False,
        )  # fmt: skip
        offline = OfflineEngine(engine)
        try:
            yield offline
        finally:
            offline.shutdown()
    finally:
        _restore(before)


def _restore(environment: dict[str, str | None]) -> None:
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def model_limits(config: VllmConfig) -> tuple[int, int]:
    """Vocabulary size, and the longest request in tokens."""
    return config.model_config.get_vocab_size(), config.model_config.max_model_len


def config_facts(config: VllmConfig) -> dict[str, Any]:
    """What a reader of a run wants to know of its engine, after vLLM has resolved it."""
    scheduler, parallel = config.scheduler_config, config.parallel_config
    return {
        "model_id": config.model_config.model,
        "tokenizer_id": config.model_config.tokenizer,
        "num_gpu_blocks": config.cache_config.num_gpu_blocks,
        "block_size": config.cache_config.block_size,
        "enable_prefix_caching": config.cache_config.enable_prefix_caching,
        "max_num_seqs": scheduler.max_num_seqs,
        "max_num_batched_tokens": scheduler.max_num_batched_tokens,
        "max_model_len": config.model_config.max_model_len,
        "enable_chunked_prefill": scheduler.enable_chunked_prefill,
        "long_prefill_token_threshold": scheduler.long_prefill_token_threshold,
        "scheduler_reserve_full_isl": scheduler.scheduler_reserve_full_isl,
        "watermark": scheduler.watermark,
        "scheduling_policy": scheduler.policy,
        "scheduler_cls": _name_of(scheduler.get_scheduler_cls()),
        "async_scheduling": scheduler.async_scheduling,
        "tensor_parallel_size": parallel.tensor_parallel_size,
        "pipeline_parallel_size": parallel.pipeline_parallel_size,
    }


def _name_of(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
