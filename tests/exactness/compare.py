"""A real run, made a trace, replayed, and compared field by field."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.engines import running_engine
from support.script import Run, drive
from support.traces import write_trace

from vllm.sim.records import StepRecord
from vllm.sim.step_log import read_steps

from .setups import Setup

# What follows a recorded answer that a limit, a stop rule or an abort cut short. The
# simulator must cut it in the same place, so this is never delivered.
_BEYOND = [301, 302, 303] * 20


@dataclass
class Comparison:
    """A setup's scripts on both engines, by script name."""

    setup: Setup
    real: dict[str, Run]
    simulated: dict[str, Run]
    real_config: dict[str, Any]
    simulated_config: dict[str, Any]
    step_log: list[StepRecord]  # of all scripts, in order


def compare(setup: Setup, model: Path, folder: Path) -> Comparison:
    """Run every script of a setup on a real engine, then on a simulated one."""
    real, real_config = play(setup, model)
    trace = write_trace(folder / "trace.jsonl", trace_rows(real.values()))
    simulated, simulated_config = play(
        setup, model, trace=trace, sim_step_log=str(folder / "steps")
    )
    log = list(read_steps(folder / "steps" / "steps.jsonl"))
    return Comparison(setup, real, simulated, real_config, simulated_config, log)


def play(setup: Setup, model: Path, **more: Any) -> tuple[dict[str, Run], dict[str, Any]]:
    """One engine, all scripts. Returns the runs, and the resolved configuration."""
    with running_engine(
        model, async_scheduling=setup.async_scheduling, **setup.engine_arguments(), **more
    ) as engine:
        runs = {name: drive(engine, script()) for name, script in setup.scripts.items()}
        config = engine.vllm_config
        resolved: dict[str, Any] = {"use_v2_model_runner": config.use_v2_model_runner}
        resolved |= {
            f"{part}.{name}": value
            for part in ("scheduler_config", "cache_config")
            for name, value in vars(getattr(config, part)).items()
        }
        return runs, resolved


def trace_rows(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """A trace of what real runs said.

    Rows stand in the order in which the requests were first scheduled: that is the order
    in which the simulator hands out the answers of a prompt that was recorded often.
    """
    rows = []
    for run in runs:
        said: dict[str, list[int]] = {}
        ended_by_model = set()
        for step in run.steps:
            for id in step.new:
                said.setdefault(id, [])
            for given in step.delivered:
                said[given.id] += given.token_ids
                if given.finish_reason == "stop" and given.stop_reason is None:
                    ended_by_model.add(given.id)
        for id in run.prompts:  # those that left before they were scheduled
            if id not in said and not any(child.endswith(f"_{id}") for child in said):
                said[id] = []
        for id, tokens in said.items():
            prompt = run.prompts[id if id in run.prompts else id.partition("_")[2]]
            tail = [] if id in ended_by_model else _BEYOND
            rows.append({"prompt_token_ids": prompt, "response_token_ids": tokens + tail})
    return rows


def differences(real: Run, simulated: Run) -> list[str]:
    """Every field in which two runs differ, as text; empty when they are the same."""
    found = []
    if len(real.steps) != len(simulated.steps):
        found.append(f"{len(real.steps)} steps, simulated {len(simulated.steps)}")
    for number, (one, other) in enumerate(zip(real.steps, simulated.steps, strict=False)):
        for field in dataclasses.fields(one):
            theirs, ours = getattr(one, field.name), getattr(other, field.name)
            if theirs != ours or _order(theirs) != _order(ours):
                found.append(f"step {number}, {field.name}: {theirs}, simulated {ours}")
    for id in real.answers.keys() | simulated.answers.keys():
        theirs, ours = real.answers.get(id), simulated.answers.get(id)
        if theirs != ours:
            found.append(f"answer {id}: {theirs}, simulated {ours}")
    return found


def _order(value: Any) -> list[Any] | None:
    """Requests are scheduled in an order, which equality of dicts passes over."""
    return list(value) if isinstance(value, dict) else None
