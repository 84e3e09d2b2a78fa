"""Law 4: nothing fails silently. Each way to fail is an error that says what, where and what
to do, or is counted where the user chose so."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.engines import core_of, running_engine
from support.script import Add, drive
from support.traces import write_trace

from vllm.sim.errors import LatencyError, TraceError, UpstreamMovedError
from vllm.sim.hooks.hook import wrap
from vllm.sim.latency.model import Instant, StepTime
from vllm.sim.records import StepRecord

pytestmark = pytest.mark.engine

KNOWN, UNKNOWN = list(range(300, 310)), list(range(500, 505))
ROW = {"prompt_token_ids": KNOWN, "response_token_ids": [900, 901, 902]}
SMALL = {"block_size": 4, "num_gpu_blocks_override": 14, "max_model_len": 48}


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return write_trace(tmp_path / "trace.jsonl", [ROW])


class NeverInDomain(Instant):
    """A latency model that has seen nothing like it."""

    def step_time(self, step: StepRecord) -> StepTime:
        return StepTime(5, in_domain=False)


def test_law_4_an_unmatched_prompt_is_refused(model: Path, trace: Path) -> None:
    from vllm.exceptions import VLLMValidationError

    with running_engine(model, trace=trace, **SMALL) as engine:
        with pytest.raises(VLLMValidationError, match=r"no row of the trace .* line 1 "):
            drive(engine, {0: [Add("miss", UNKNOWN, {})]})
        assert not core_of(engine).scheduler.has_requests()
        run = drive(engine, {0: [Add("hit", KNOWN, {"max_tokens": 3})]})  # and goes on
        assert run.answers["hit"].token_ids == ROW["response_token_ids"]


def test_law_4_a_broken_line_is_named(model: Path, trace: Path) -> None:
    with trace.open("a") as file:
        file.write('{"prompt": "without an answer"}\n')
    with (
        pytest.raises(TraceError, match=rf"{trace.name}.*2.*no answer"),
        running_engine(model, trace=trace, **SMALL),
    ):
        pass


def test_law_4_a_hook_that_does_not_fit_raises() -> None:
    def wrapper(*_: object) -> None:
        raise AssertionError("must not be installed")

    module = "vllm.v1.engine.core"
    with pytest.raises(UpstreamMovedError, match="is gone"):
        wrap(module, "EngineCore.no_such_method", wrapper, ())
    with pytest.raises(UpstreamMovedError, match="takes"):
        wrap(module, "EngineCore.add_request", wrapper, ("something_else",))


def test_law_4_a_step_outside_the_domain_is_counted(model: Path, trace: Path) -> None:
    with running_engine(model, trace=trace, **SMALL) as engine:
        executor = core_of(engine).model_executor
        executor.latency = NeverInDomain()
        run = drive(engine, {0: [Add("a", KNOWN, {"max_tokens": 3})]})
        ran = sum(bool(step.scheduled) for step in run.steps)
        assert executor.counters.outside_steps == ran == 3


def test_law_4_a_step_outside_the_domain_is_an_error_where_asked(model: Path, trace: Path) -> None:
    with running_engine(model, trace=trace, sim_strict=True, **SMALL) as engine:
        core_of(engine).model_executor.latency = NeverInDomain()
        with pytest.raises(LatencyError, match=r"step 0 .*--sim-strict"):
            drive(engine, {0: [Add("a", KNOWN, {"max_tokens": 3})]})
