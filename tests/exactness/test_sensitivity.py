"""What the comparison would catch: the simulator made wrong on purpose, in small ways."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from support.traces import write_trace

from vllm.sim.engine.batch import BatchReader
from vllm.sim.trace.cursor import ReplayCursor

from .compare import Comparison, differences, play, trace_rows
from .setups import Setup, setup_named

pytestmark = [pytest.mark.engine, pytest.mark.slow]

SETUP = setup_named("few blocks")
SCRIPT = "KV exhaustion with preemption"


@pytest.fixture
def found(
    comparison: Callable[[Setup], Comparison],
    saved_model: Callable[[str], Path],
    tmp_path: Path,
) -> Callable[..., list[str]]:
    """Differences between the real run of one script and a simulated one under some change."""

    def replay(**arguments: object) -> list[str]:
        real = comparison(SETUP).real
        first = {name: SETUP.scripts[name] for name in list(SETUP.scripts)[:2]}
        assert SCRIPT in first
        setup = dataclasses.replace(
            SETUP, scripts=first, arguments={**SETUP.arguments, **arguments}
        )
        trace = write_trace(tmp_path / "trace.jsonl", trace_rows(real.values()))
        simulated, _ = play(setup, saved_model(setup.model), trace=trace)
        return differences(real[SCRIPT], simulated[SCRIPT])

    return replay


def test_nothing_is_found_when_nothing_is_changed(found: Callable[..., list[str]]) -> None:
    assert not found()


def test_an_answer_shifted_by_one(
    found: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    token_at = ReplayCursor.token_at
    monkeypatch.setattr(ReplayCursor, "token_at", lambda self, at: token_at(self, at + 1))
    assert any("answer" in one for one in found())


def test_a_cursor_that_counts_calls_after_a_preemption(
    found: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request resumed from its first token: what law 3 forbids."""
    read = BatchReader.read

    def restarted(self: BatchReader, output: object) -> object:
        batch = read(self, output)
        resumed = output.scheduled_cached_reqs.resumed_req_ids
        sampled = [
            one._replace(position=0) if one.request_id in resumed else one for one in batch.sampled
        ]
        return batch._replace(sampled=sampled)

    monkeypatch.setattr(BatchReader, "read", restarted)
    assert found()


def test_a_block_too_few(found: Callable[..., list[str]]) -> None:
    assert any("preempted" in one for one in found(num_gpu_blocks_override=16, max_model_len=480))


def test_a_token_too_few_a_step(found: Callable[..., list[str]]) -> None:
    assert any("scheduled" in one for one in found(max_num_batched_tokens=255))
