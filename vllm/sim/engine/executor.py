"""The executor: the one class that stands where the model was.

A step goes ``SchedulerOutput`` -> records -> predicted duration -> a place on the
device's timeline -> each request's next token -> ``ModelRunnerOutput``. The result
is a future that is pending until the device would be done, which is what makes
asynchronous scheduling admit requests as it does on hardware.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

from vllm.lora.request import LoRARequest
from vllm.tokenizers import TokenizerLike, cached_tokenizer_from_config
from vllm.v1.core.sched.output import GrammarOutput, SchedulerOutput
from vllm.v1.engine.core import EngineCore
from vllm.v1.executor.abstract import Executor
from vllm.v1.kv_cache_interface import KVCacheConfig, KVCacheSpec
from vllm.v1.outputs import EMPTY_MODEL_RUNNER_OUTPUT, DraftTokenIds, ModelRunnerOutput

from ..clock import NS_PER_S, Clock, DeviceTimeline, WallClock
from ..errors import LatencyError, SettingsError
from ..latency.model import Instant, LatencyModel
from ..records import StepRecord
from . import platform
from .activation import device_of, install_engine_hooks
from .answers import AnswerBook, AnswerSource
from .batch import Batch, BatchReader
from .counters import EngineCounters, counters_path
from .device import SimulatedDevice, mark_shut_down
from .observe import StepObserver, sinks_of
from .sampling import Sampler
from .settings import settings_of

logger = logging.getLogger("vllm.sim.executor")

_LAG_WORTH_SAYING_NS = 20_000_000
_SAY_LAG_EVERY_NS = 10 * NS_PER_S


class StepFuture(Future):
    """A step's result, pending until the device is done with it.

    ``on_delivery`` is called each time the result is handed over.
    """

    def __init__(
        self, clock: Clock, due_ns: int, output: ModelRunnerOutput, on_delivery: Callable[[], None]
    ) -> None:
        super().__init__()
        self._clock, self._due_ns, self._output = clock, due_ns, output
        self._on_delivery = on_delivery

    def done(self) -> bool:
        return self._clock.now_ns() >= self._due_ns

    def result(self, timeout: float | None = None) -> ModelRunnerOutput:
        """Wait for the device. A timeout is not supported: vLLM never gives one."""
        self._clock.wait_until_ns(self._due_ns)
        self._on_delivery()
        return self._output


class InFlight(NamedTuple):
    """A step that runs and has not been sampled."""

    batch: Batch
    due_ns: int


class SimExecutor(Executor):
    """Answers ``execute_model`` from a trace. See ``docs/structure.md`` for its neighbours."""

    supports_pp = True

    def _init_executor(self) -> None:
        settings = settings_of(self.vllm_config)
        if settings is None:
            raise SettingsError(
                "the simulator's executor was chosen without its settings: "
                "start with --use-simulator"
            )
        self.settings = settings
        device = device_of(settings)
        platform.activate(device)  # this may be a process of its own
        install_engine_hooks()
        self.clock: Clock = self._make_clock()
        self._device = SimulatedDevice(self.vllm_config, settings, device)
        self.latency: LatencyModel = self._device.latency
        self._timeline = DeviceTimeline(self.parallel_config.pipeline_parallel_size)
        self._pipelined = self.parallel_config.pipeline_parallel_size > 1
        self._sampled_at_ns: dict[str, int] = {}  # by request, in a pipeline only
        self._reader = BatchReader()
        tokenizer = (
            None
            if self.model_config.skip_tokenizer_init
            else cached_tokenizer_from_config(self.model_config)
        )
        self._answers = self._make_answers(tokenizer)
        self._sampler = Sampler(self.model_config.get_vocab_size(), tokenizer)
        self._in_flight: deque[InFlight] = deque()
        self.observer = StepObserver(sinks_of(settings, self.vllm_config))
        self._lora_ids: set[int] = set()
        self.counters = EngineCounters(
            counters_path(self.vllm_config, self.parallel_config.data_parallel_index)
        )
        self._paced = not isinstance(self.latency, Instant)  # else no step is ever due
        self._quiet_until_ns = 0
        logger.info("Simulator: %s", self.latency.describe())

    def _make_clock(self) -> Clock:
        return WallClock(self.settings.time_scale)

    def _make_answers(self, tokenizer: TokenizerLike | None) -> AnswerSource:
        return AnswerBook(self.settings, tokenizer, self.model_config.seed)

    @classmethod
    def supports_async_scheduling(cls) -> bool:
        return True

    # One step

    def execute_model(
        self, scheduler_output: SchedulerOutput, non_block: bool = False
    ) -> ModelRunnerOutput | Future[ModelRunnerOutput | None] | None:
        """Start a step. Its tokens are asked for with :meth:`sample_tokens`."""
        now_ns = self.clock.now_ns()  # before any work of ours, which a device would not do
        for request_id in scheduler_output.finished_req_ids:
            self._sampler.forget(request_id)
            self.latency.forget(request_id)
            self._sampled_at_ns.pop(request_id, None)
        batch = self._reader.read(scheduler_output)
        for request in batch.admitted:
            answer = self._answers.bind(request)
            self._sampler.admit(request, answer.cursor)
            self.latency.admit(request.req_id, request.prompt_len, answer.ttft_s, answer.itl_s)
        output = None
        if batch.requests:
            self._in_flight.append(InFlight(batch, self._run(batch, scheduler_output, now_ns)))
        else:
            self.observer.nothing_ran(scheduler_output)
            output = EMPTY_MODEL_RUNNER_OUTPUT
        if not non_block:
            return output
        future: Future[ModelRunnerOutput | None] = Future()
        future.set_result(output)
        return future

    def sample_tokens(
        self, grammar_output: GrammarOutput | None, non_block: bool = False
    ) -> ModelRunnerOutput | Future[ModelRunnerOutput]:
        """The tokens of the oldest step that has not been sampled."""
        batch, due_ns = self._in_flight.popleft()
        output = self._sampler.sample(batch, grammar_output)
        future = StepFuture(self.clock, due_ns, output, self._count_delivery)
        return future if non_block else future.result()

    def _run(self, batch: Batch, output: SchedulerOutput, now_ns: int) -> int:
        """Lay the step on the device's timeline; returns when it is done."""
        record = self.observer.record(batch, output)
        record.duration_ns, record.in_domain = self.latency.step_time(record)
        due_ns = self._place(record, now_ns, self._inputs_at_ns(batch))
        if self._pipelined:
            self._sampled_at_ns.update((sampled.request_id, due_ns) for sampled in batch.sampled)
        return due_ns

    def _place(self, record: StepRecord, now_ns: int, inputs_at_ns: int = 0) -> int:
        """Lay a step with a duration on the timeline and show it; returns when it is done."""
        if not record.in_domain:
            self._report_outside(record)
        record.start_ns, due_ns = self._timeline.submit(now_ns, record.duration_ns, inputs_at_ns)
        self.observer.write(record)
        return due_ns

    def _inputs_at_ns(self, batch: Batch) -> int:
        """When the last token that this step continues leaves the pipeline."""
        if not self._pipelined:
            return 0
        return max(
            (
                self._sampled_at_ns[request.id]
                for request in batch.requests
                if request.phase == "decode"
            ),
            default=0,
        )

    def _report_outside(self, record: StepRecord) -> None:
        """A step that the latency model has not seen the like of: said once, or an error."""
        message = (
            f"step {record.step} lies outside what the latency model holds for "
            f"({self.latency.describe()}): {record.composition()}"
        )
        if self.settings.strict:
            raise LatencyError(f"{message}; --sim-strict makes this an error")
        if not self.counters.outside_steps:
            logger.warning("%s. Such steps are extrapolated, and counted.", message)
        self.counters.outside_steps += 1

    def _count_delivery(self) -> None:
        """Keep count of what has been handed over, and of how late it was."""
        counters = self.counters
        counters.steps += 1
        counters.repaired_tokens = self._sampler.repaired_tokens
        if isinstance(self.clock, WallClock) and self._paced:
            counters.lag_ns, counters.max_lag_ns = self.clock.lag_ns, self.clock.max_lag_ns
            if (
                counters.lag_ns > _LAG_WORTH_SAYING_NS
                and self.clock.now_ns() > self._quiet_until_ns
            ):
                self._quiet_until_ns = self.clock.now_ns() + _SAY_LAG_EVERY_NS
                logger.warning(
                    "This host is slower than the simulated device: step %d was handed over "
                    "%.1f ms late. Measured times are too long; lower --sim-time-scale",
                    counters.steps, counters.lag_ns / 1e6,
                )  # fmt: skip
        counters.publish()

    def execute_dummy_batch(self) -> None:
        """An idle data-parallel rank keeps step with the others: an empty step's time."""
        empty = StepRecord(0, 0, 0, [], 0, 0, [], [], 0, 0, 0)
        duration_ns = self.latency.step_time(empty).duration_ns
        _, due_ns = self._timeline.submit(self.clock.now_ns(), duration_ns)
        self.clock.wait_until_ns(due_ns)

    def take_draft_token_ids(self) -> DraftTokenIds | None:
        return None

    # What the engine asks of the model at start

    def get_kv_cache_specs(self) -> list[dict[str, KVCacheSpec]]:
        return self._device.kv_cache_specs

    def get_supported_kv_cache_layouts(self) -> list[list[str]]:
        return self._device.kv_cache_layouts

    def set_kv_cache_layout(self, layout_name: str, *_: Any) -> None:
        pass

    def determine_available_memory(self) -> list[int]:
        """Bytes for the KV cache, one number a rank."""
        return self._device.available_kv_bytes()

    def initialize_from_config(self, kv_cache_configs: list[KVCacheConfig]) -> None:
        pass

    def compile_or_warm_up_model(self) -> None:
        pass

    # Everything else that a worker may be asked

    def collective_rpc(
        self,
        method: str | Callable[..., Any],
        timeout: float | None = None,
        args: tuple = (),
        kwargs: dict | None = None,
        non_block: bool = False,
    ) -> Any:
        if not isinstance(method, str) or method not in _RPC_ANSWERS:
            name = method if isinstance(method, str) else method.__name__
            raise NotImplementedError(
                f"the simulator has no worker to run {name!r} on; it answers "
                f"{', '.join(sorted(_RPC_ANSWERS))}"
            )
        answers = [_RPC_ANSWERS[method] for _ in range(self.parallel_config.world_size)]
        if not non_block:
            return answers
        future: Future[list[Any]] = Future()
        future.set_result(answers)
        return future

    def add_lora(self, lora_request: LoRARequest) -> bool:
        self._lora_ids.add(lora_request.lora_int_id)
        return True

    def remove_lora(self, lora_id: int) -> bool:
        known = lora_id in self._lora_ids
        self._lora_ids.discard(lora_id)
        return known

    def pin_lora(self, lora_id: int) -> bool:
        return lora_id in self._lora_ids

    def list_loras(self) -> set[int]:
        return set(self._lora_ids)

    def check_health(self) -> None:
        pass

    def shutdown(self) -> None:
        self.observer.close()
        self.counters.close()
        self._answers.close()
        mark_shut_down()


def watch_scheduler(engine_core: EngineCore) -> None:
    """Show a simulated engine's executor its scheduler's counters."""
    executor = engine_core.model_executor
    if isinstance(executor, SimExecutor):
        executor.observer.watch(engine_core.scheduler)


# What a worker without a model truthfully answers.
_RPC_ANSWERS: dict[str, Any] = {
    "get_supported_tasks": ("generate",),
    "supports_draft_weight_updates": False,
    "reset_mm_cache": None,
    "reset_encoder_cache": None,
    "sleep": None,
    "wake_up": None,
    "discard": None,
    "synchronize_device": None,
    "profile": None,
    "update_max_model_len": None,
    "get_kv_connector_handshake_metadata": None,
    "get_cache_block_size_bytes": None,
}
