"""``vllm sim replay``: trace, simulated engine, driver and folder put together."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from vllm.engine.arg_utils import EngineArgs
from vllm.usage.usage_lib import UsageContext

from ..clock import NS_PER_S
from ..errors import SettingsError
from ..metrics.folder import RunFolder
from ..records import StepRecord
from ..trace.formats import ReadOptions, open_rows
from ..trace.formats.base import Reader
from ..workload.client import Arrivals, Clients
from .fast_forward import FastForward
from .matching import match_nothing
from .offline import OfflineEngine, config_facts, offline_engine
from .profile import profiled
from .recorder_trace import TRACE
from .replay import Driver
from .replay_executor import ReplayExecutor
from .replay_progress import Progress
from .replay_rows import Prompts, SimulatedRequests

logger = logging.getLogger("vllm.sim.replay")

_CONTEXTS = {"serve": UsageContext.OPENAI_API_SERVER, "llm": UsageContext.LLM_CLASS}


class Source(NamedTuple):
    """An open trace, and its clients."""

    reader: Reader
    clients: Clients


@dataclass(frozen=True)
class RunOptions:
    """What to run, and where to write it."""

    trace: Path
    out: Path
    format: str = "auto"
    arrivals: Arrivals = "auto"
    rate_scale: float = 1.0
    max_concurrency: int | None = None
    defaults_of: str = "serve"

    @classmethod
    def of(cls, args: argparse.Namespace) -> RunOptions:
        return cls(
            args.trace, args.out, args.from_format, args.arrivals, args.rate_scale,
            args.max_concurrency, args.defaults_of,
        )  # fmt: skip

    @property
    def context(self) -> UsageContext:
        return _CONTEXTS[self.defaults_of]

    def spare_recording(self) -> None:
        """Refuse to simulate into a folder of measurements.

        Raises:
            SettingsError: ``--out`` holds a recording.
        """
        if (self.out / TRACE).exists():
            raise SettingsError(
                f"--out {self.out}: holds a recording ({TRACE}), whose measured steps would be "
                f"lost; choose another folder"
            )

    @contextmanager
    def opened(self) -> Iterator[Source]:
        """Open the trace and look it over, with a word about one without times.

        Raises:
            TraceError: A line is broken, or its time is.
        """
        with closing(open_rows(self.trace, self.format, ReadOptions())[1]) as reader:
            clients = Clients(
                reader, self.trace, self.arrivals, self.rate_scale, self.max_concurrency
            )
            if not clients.plan.timed and self.max_concurrency is None:
                logger.info(
                    "%s: nothing has a timestamp, so all %s are sent at time 0; --max-concurrency "
                    "sends them a few at a time",
                    self.trace, "first turns" if clients.plan.turns else "requests",
                )  # fmt: skip
            yield Source(reader, clients)

    def facts(self, engine: OfflineEngine, clients: Clients) -> dict[str, Any]:
        """What ``summary.json`` says of the run's conditions."""
        return {
            **config_facts(engine.config),
            "trace": self.trace.name,
            "num_prompts": clients.plan.rows,
            "max_concurrency": self.max_concurrency,
            "rate_scale": self.rate_scale,
            "arrivals": self.arrivals,
        }


class Replay:
    """One pass of a trace through a simulated engine.

    Args:
        engine: Built with :func:`prepare`; nothing is in it.
        options: Where to write, and what to say in the summary.
        source: The trace.
        fast_forward: Schedule stretches of decode steps in one call, where nothing depends on it.

    Raises:
        RecordingError: The folder cannot be written to.
    """

    def __init__(
        self,
        engine: OfflineEngine,
        options: RunOptions,
        source: Source,
        fast_forward: bool = True,
    ) -> None:
        executor = engine.core.model_executor
        assert isinstance(executor, ReplayExecutor)
        executor.restart_time()
        match_nothing(engine.engine.renderer)
        self._engine, self._executor = engine, executor
        self._options, self._source = options, source
        self._ahead = FastForward(engine.core) if fast_forward else None
        self._folder = RunFolder(options.out)

    def run(self) -> dict[str, Any]:
        """Run it; returns the summary, as written."""
        started_s = time.monotonic()
        engine, executor, clients = self._engine, self._executor, self._source.clients
        prompts = Prompts(engine, self._source.reader)
        progress = Progress("replay", clients.plan.rows, executor.clock)
        driver = Driver(
            engine, executor.clock, clients, prompts,
            SimulatedRequests(prompts, executor.answers), self._folder, [progress],
            self._ahead,
        )  # fmt: skip
        with (
            closing(progress),
            executor.observer.given_to(_Steps(driver, self._folder, progress)),
        ):
            complete = driver.run()
        logger.info(
            "%s steps in %s calls of the scheduler",
            f"{self._folder.steps.steps:,}", f"{executor.calls:,}",
        )  # fmt: skip
        return self._folder.finish(
            complete,
            **self._options.facts(engine, clients),
            latency=executor.latency.describe(),
            simulated_seconds=executor.clock.now_ns() / NS_PER_S,
            wall_seconds=time.monotonic() - started_s,
        )


def replay(
    engine_args: EngineArgs,
    options: RunOptions,
    profile: Path | None = None,
    fast_forward: bool = True,
) -> dict[str, Any]:
    """Replay a trace in virtual time.

    Args:
        engine_args: Any; the simulator is switched on in them.
        options: The trace and where to write.
        profile: Where to write a profile of the run, the engine's start left out.
        fast_forward: As for :class:`Replay`.

    Returns:
        The summary, as written.

    Raises:
        SimError: The trace, a setting or the folder is wrong.
    """
    options.spare_recording()
    prepare(engine_args)
    with (
        options.opened() as source,
        offline_engine(engine_args, options.context, source.reader.header) as engine,
    ):
        run = Replay(engine, options, source, fast_forward)
        with profiled(profile):
            return run.run()


class _Steps:
    """Takes the simulated engine's steps."""

    def __init__(self, driver: Driver, folder: RunFolder, progress: Progress) -> None:
        self._driver, self._folder, self._progress = driver, folder, progress

    def write(self, record: StepRecord) -> None:
        self._driver.scheduled(record)
        self._folder.add_step(record)
        self._progress.step = record

    def close(self) -> None:
        pass


def prepare(engine_args: EngineArgs) -> None:
    """Switch the simulator on, for a driver that knows the answers."""
    given: Any = engine_args
    if given.sim_trace_path is not None:
        raise SettingsError("--sim-trace: a replay answers from the trace that it replays")
    if given.sim_time_scale is not None:
        raise SettingsError("--sim-time-scale: a replay's time is virtual and needs no scale")
    if given.sim_record is not None:
        raise SettingsError("--sim-record: a replay writes its records to --out")
    given.use_simulator = True
    given.sim_on_miss = "synthetic"  # nothing is matched, so nothing can miss
    given.distributed_executor_backend = ReplayExecutor
