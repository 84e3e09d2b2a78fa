"""``vllm sim record``: the driver of a replay, with a real engine and a clock on the wall."""

from __future__ import annotations

import logging
import time
from contextlib import closing
from typing import Any

from vllm.engine.arg_utils import EngineArgs
from vllm.sampling_params import RequestOutputKind, SamplingParams

from ..clock import NS_PER_S, WallClock
from ..errors import SettingsError
from ..metrics.folder import MEASURED, RunFolder
from ..records import StepRecord
from .offline import OfflineEngine, offline_engine
from .recorder import StepMeter
from .recorder_config import header_of
from .recorder_trace import TraceRecorder
from .replay import Driver
from .replay_progress import Progress
from .replay_rows import Prompts, RealRequests
from .replay_run import RunOptions

logger = logging.getLogger("vllm.sim.record")

_WARM_UP_REQUESTS = 8
_WARM_UP_PROMPT, _WARM_UP_ANSWER = 256, 16  # tokens


def record(engine_args: EngineArgs, options: RunOptions) -> dict[str, Any]:
    """Run a trace through a real engine, in real time, and write down what happened.

    Args:
        engine_args: Of a real engine.
        options: The trace and where to write.

    Returns:
        The summary, as written.

    Raises:
        SimError: The trace, a setting or the folder is wrong.
    """
    given: Any = engine_args
    if given.use_simulator:
        raise SettingsError("--use-simulator: a recording needs a real engine")
    given.use_simulator = False  # whatever the environment says
    with options.opened() as source, offline_engine(engine_args, options.context) as engine:
        logger.info("warming up with %d requests", _WARM_UP_REQUESTS)
        warm_up(engine)
        started_s = time.monotonic()
        folder = RunFolder(options.out)
        prompts = Prompts(engine, source.reader)
        clock = WallClock()
        progress = Progress("record", source.clients.plan.rows, clock)
        trace = TraceRecorder(options.out, header_of(engine.config))
        meter = StepMeter(
            engine.core,
            scheduled=lambda step: driver.scheduled(step),
            measured=lambda step: _measured(step, folder, progress),
        )
        driver = Driver(
            engine, clock, source.clients, prompts, RealRequests(prompts), folder,
            [meter, progress, trace],
        )  # fmt: skip
        meter.attach()
        with closing(progress), closing(trace):
            complete = driver.run()
        return folder.finish(
            complete,
            **options.facts(engine, source.clients),
            latency=MEASURED,
            simulated_seconds=clock.now_ns() / NS_PER_S,
            wall_seconds=time.monotonic() - started_s,
        )


def warm_up(engine: OfflineEngine) -> None:
    """Let the engine allocate and compile before anything is measured; leaves no cache behind."""
    longest = engine.config.model_config.max_model_len
    answer = min(_WARM_UP_ANSWER, longest // 2)
    prompt = [5] * min(_WARM_UP_PROMPT, longest - answer)
    params = SamplingParams(
        max_tokens=answer, temperature=0.0, ignore_eos=True, detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )  # fmt: skip
    for number in range(_WARM_UP_REQUESTS):
        # Each its own prompt, or all but one would come from the prefix cache.
        engine.add(f"warm-up-{number}", [number + 1, *prompt[1:]], params, arrival_ns=0)
    while engine.has_work():
        engine.step()
    engine.engine.reset_prefix_cache()


def _measured(step: StepRecord, folder: RunFolder, progress: Progress) -> None:
    folder.add_step(step)
    progress.step = step
