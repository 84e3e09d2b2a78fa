"""Each page in ``cases`` is what the simulated engine does, step by step."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.engines import running_engine
from support.models import save_tiny_llama
from support.script import drive
from support.traces import write_trace

from .case import read_case, table, write_steps

pytestmark = pytest.mark.engine

CASES = sorted((Path(__file__).parent / "cases").glob("*.md"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llama(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("page", CASES, ids=lambda page: page.stem)
def test_scenario(page: Path, model: Path, tmp_path: Path) -> None:
    case = read_case(page)
    trace = write_trace(tmp_path / "trace.jsonl", case.trace_rows())
    with running_engine(model, trace=trace, **case.settings) as engine:
        run = drive(engine, case.script())
    happened = write_steps(case, run)
    assert happened == case.steps, f"what happened:\n{table(happened)}"
    eos = engine.renderer.tokenizer.eos_token_id
    for request in case.requests:
        if request.leaves is None:
            whole = [*request.answer, eos][: request.limit]
            assert run.answers[request.name].token_ids == whole


def test_there_are_scenarios() -> None:
    assert len(CASES) >= 10
