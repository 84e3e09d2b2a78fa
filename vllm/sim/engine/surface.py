"""What this package relies on of vLLM's internals, and whether the installed one has it.

Checked when an engine is simulated, and by a test: a name that moved is reported by
name, before anything reads it. Hooks check the functions that they wrap themselves.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import logging
from collections.abc import Iterator
from functools import cache
from typing import Any

import vllm

from ..errors import UpstreamMovedError
from ..upstream import PINNED, TESTED, release_of

logger = logging.getLogger("vllm.sim")

FIELDS: dict[str, tuple[str, ...]] = {
    "vllm.v1.core.sched.output:SchedulerOutput": (
        "scheduled_new_reqs", "scheduled_cached_reqs", "num_scheduled_tokens",
        "total_num_scheduled_tokens", "finished_req_ids", "preempted_req_ids",
    ),
    "vllm.v1.core.sched.output:NewRequestData": (
        "req_id", "prompt_token_ids", "sampling_params", "num_computed_tokens",
        "prefill_token_ids", "lora_request",
    ),
    "vllm.v1.core.sched.output:CachedRequestData": (
        "req_ids", "num_computed_tokens", "num_output_tokens", "resumed_req_ids", "new_block_ids",
    ),
    "vllm.v1.core.sched.output:GrammarOutput": (
        "structured_output_request_ids", "grammar_bitmask",
    ),
    "vllm.v1.outputs:ModelRunnerOutput": (
        "req_ids", "req_id_to_index", "sampled_token_ids", "logprobs", "prompt_logprobs_dict",
    ),
    "vllm.v1.outputs:LogprobsLists": (
        "logprob_token_ids", "logprobs", "sampled_token_ranks", "cu_num_generated_tokens",
    ),
    "vllm.v1.outputs:LogprobsTensors": (
        "logprob_token_ids", "logprobs", "selected_token_ranks",
    ),
    "vllm.v1.outputs:DraftTokenIds": ("req_ids", "draft_token_ids"),
    "vllm.v1.engine:EngineCoreRequest": ("request_id", "prompt_token_ids", "sampling_params"),
    "vllm.sampling_params:SamplingParams": (
        "extra_args", "min_tokens", "ignore_eos", "logprobs", "logprob_token_ids",
        "prompt_logprobs", "prompt_logprob_token_ids", "trace_decode_token_ids",
    ),
    "vllm.config:VllmConfig": (
        "additional_config", "model_config", "cache_config", "parallel_config",
        "scheduler_config", "speculative_config", "kv_transfer_config",
    ),
    "vllm.config:ParallelConfig": (
        "pipeline_parallel_size", "decode_context_parallel_size", "prefill_context_parallel_size",
    ),
    "vllm.config:CacheConfig": (
        "block_size", "num_gpu_blocks_override", "kv_cache_memory_bytes", "cache_dtype",
        "gpu_memory_utilization",
    ),
    "vllm.renderers:ChatParams": ("chat_template", "chat_template_kwargs"),
}  # fmt: skip

SIGNATURES: dict[str, tuple[str, ...]] = {
    "vllm.v1.executor.abstract:Executor.execute_model": ("scheduler_output", "non_block"),
    "vllm.v1.executor.abstract:Executor.sample_tokens": ("grammar_output", "non_block"),
    "vllm.v1.executor.abstract:Executor.collective_rpc": (
        "method", "timeout", "args", "kwargs", "non_block",
    ),
    "vllm.v1.executor.abstract:Executor.get_kv_cache_specs": (),
    "vllm.v1.executor.abstract:Executor.determine_available_memory": (),
    "vllm.v1.executor.abstract:Executor.initialize_from_config": ("kv_cache_configs",),
    "vllm.v1.executor.abstract:Executor.compile_or_warm_up_model": (),
    "vllm.v1.executor.abstract:Executor.execute_dummy_batch": (),
    "vllm.v1.executor.abstract:Executor.take_draft_token_ids": (),
    "vllm.v1.core.sched.interface:SchedulerInterface.get_request_counts": (),
    "vllm.v1.core.sched.interface:SchedulerInterface.update_draft_token_ids": ("draft_token_ids",),
    "vllm.v1.core.block_pool:BlockPool.get_num_free_blocks": (),
    "vllm.renderers:BaseRenderer.render_messages": ("messages", "params"),
    "vllm.renderers:ChatParams.with_defaults": ("default_chat_template_kwargs",),
    "vllm.tokenizers:cached_tokenizer_from_config": ("model_config",),
}  # fmt: skip

NAMES = (
    "vllm.v1.outputs:EMPTY_MODEL_RUNNER_OUTPUT",
    "vllm.v1.engine.core:EngineCore",
    "vllm.v1.core.sched.async_scheduler:AsyncScheduler",
    "vllm.v1.request:Request.num_tokens",
    "vllm.v1.request:Request.num_output_tokens",
    "vllm.sampling_params:SamplingParams.eos_token_id",
    "vllm.sampling_params:SamplingParams.num_logprobs",
    "vllm.renderers:BaseRenderer.default_cmpl_tok_params",
    "vllm.renderers:BaseRenderer.default_chat_tok_params",
    "vllm.envs:environment_variables",
    "vllm.exceptions:VLLMValidationError",
)


def moved() -> Iterator[str]:
    """What the installed vLLM lacks, a line each."""
    for place, names in FIELDS.items():
        try:
            have = _field_names(_find(place))
        except (ImportError, AttributeError) as error:
            yield f"{place} is gone ({error})"
            continue
        for name in names:
            if name not in have:
                yield f"{place} has no field {name!r}"
    for place, parameters in SIGNATURES.items():
        try:
            signature = inspect.signature(_find(place))
        except (ImportError, AttributeError) as error:
            yield f"{place} is gone ({error})"
            continue
        taken = tuple(name for name in signature.parameters if name != "self")
        if taken[: len(parameters)] != parameters:
            yield f"{place} takes {', '.join(taken) or 'nothing'}, not {', '.join(parameters)}"
    for place in NAMES:
        try:
            _find(place)
        except (ImportError, AttributeError) as error:
            yield f"{place} is gone ({error})"


@cache
def check_surface() -> None:
    """Raise if the installed vLLM lacks something; warn if nobody has tried it.

    Raises:
        UpstreamMovedError: Names everything that moved.
    """
    if missing := list(moved()):
        raise UpstreamMovedError(
            f"vLLM {vllm.__version__} is not what vllm.sim stands on ({PINNED}): "
            f"{'; '.join(missing)}. docs/upgrading-vllm.md says what to do"
        )
    if release_of(vllm.__version__) not in TESTED:
        logger.warning(
            "vLLM %s has not been tried with the simulator (%s have); what it relies on is there",
            vllm.__version__, ", ".join(TESTED),
        )  # fmt: skip


def _find(place: str) -> Any:
    module_name, _, attribute = place.partition(":")
    target: Any = importlib.import_module(module_name)
    for name in attribute.split("."):
        target = inspect.getattr_static(target, name)
    return target


def _field_names(cls: Any) -> set[str]:
    if dataclasses.is_dataclass(cls):
        return {field.name for field in dataclasses.fields(cls)}
    if issubclass(cls, tuple):
        return set(cls._fields)
    return set(cls.__struct_fields__)
