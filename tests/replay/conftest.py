"""Engines that several tests replay on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.paths import DEMO_MODEL
from support.traces import write_trace

from vllm.sim.metrics.folder import read_requests, read_summary
from vllm.sim.records import RequestRecord, StepRecord
from vllm.sim.step_log import read_steps

Rows = Iterable[dict[str, Any]]


class Run:
    """What a replay left behind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.summary = read_summary(folder)
        self.by_end: list[RequestRecord] = list(read_requests(folder))
        self.requests = {record.id: record for record in self.by_end}
        self.steps: list[StepRecord] = list(read_steps(folder / "steps.jsonl"))


ReplayRows = Callable[..., Run]


@pytest.fixture(scope="module")
def replay_rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplayRows]:
    """``replay_rows(rows, engine arguments…, options={…})``, on engines that are kept."""
    from vllm.engine.arg_utils import EngineArgs

    from vllm.sim.engine.offline import offline_engine
    from vllm.sim.engine.replay_run import Replay, RunOptions, prepare

    engines: dict[str, Any] = {}
    with ExitStack() as stack:

        def run(rows: Rows, options: dict[str, Any] | None = None, **arguments: Any) -> Run:
            folder = tmp_path_factory.mktemp("replay")
            trace = write_trace(folder / "trace.jsonl", rows)
            run_options = RunOptions(trace, folder / "run", **(options or {}))
            arguments = {
                "model": str(DEMO_MODEL), "sim_device": "h100_sxm", "max_model_len": 2048,
                "num_gpu_blocks_override": 512, "sim_latency": "constant:step=50ms", **arguments,
            }  # fmt: skip
            with run_options.opened() as source:
                key = json.dumps([run_options.defaults_of, arguments], sort_keys=True)
                if key not in engines:
                    engine_args = EngineArgs(**arguments)
                    prepare(engine_args)
                    engines[key] = stack.enter_context(
                        offline_engine(engine_args, run_options.context)
                    )
                engine = engines[key]
                assert engine.engine.reset_prefix_cache()
                Replay(engine, run_options, source).run()
            return Run(run_options.out)

        yield run
