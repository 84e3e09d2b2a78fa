"""The scripts do to the real engine what they are named for: comparing nothing finds nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from support.script import Run

from .compare import Comparison
from .setups import SETUPS, Setup

pytestmark = [pytest.mark.engine, pytest.mark.slow]

ComparisonOf = Callable[[Setup], Comparison]


def real_runs(comparison: ComparisonOf, script: str, setup: str = "") -> Iterator[Run]:
    for one in SETUPS:
        if script in one.scripts and setup in one.name:
            yield comparison(one).real[script]


def preemptions(run: Run) -> int:
    return sum(len(step.preempted) for step in run.steps)


def cached_tokens(run: Run) -> int:
    return sum(step.computed[id] for step in run.steps for id in step.new)


def evictions(run: Run) -> int:
    """Blocks that lost the content they had in the step before."""
    return sum(
        bool(before[1]) and after[1] != before[1]
        for one, other in zip(run.steps, run.steps[1:], strict=False)
        for before, after in zip(one.blocks, other.blocks, strict=True)
    )


def test_mixed_lengths_prefill_next_to_decodes_and_meet_the_models_limit(
    comparison: ComparisonOf,
) -> None:
    for run in real_runs(comparison, "mixed lengths"):
        assert any(len({step.outputs[id] > 0 for id in step.scheduled}) == 2 for step in run.steps)
        assert len(run.answers["limit"].token_ids) == 512 - 490


def test_chunked_prefill_takes_several_steps_for_a_prompt(comparison: ComparisonOf) -> None:
    for run in real_runs(comparison, "chunked prefill"):
        chunks = [
            step for step in run.steps if "long1" in step.scheduled and not step.outputs["long1"]
        ]
        assert len(chunks) > 5
        assert any(len(step.scheduled) > 1 for step in chunks)


def test_few_blocks_are_shared_and_evicted(comparison: ComparisonOf) -> None:
    for run in real_runs(comparison, "prefix sharing with eviction"):
        if any(content for _, content in run.steps[-1].blocks):  # else caching is off
            assert evictions(run) > 0
    shared = next(real_runs(comparison, "prefix sharing with eviction"))
    assert cached_tokens(shared) > 0
    assert cached_tokens(next(real_runs(comparison, "turns"))) > 0


def test_exhaustion_preempts_requests_in_mid_answer(comparison: ComparisonOf) -> None:
    for run in real_runs(comparison, "KV exhaustion with preemption"):
        assert preemptions(run) > 0
        assert any(step.outputs[id] for step in run.steps for id in step.resumed)


def test_priorities_preempt_those_that_matter_less(comparison: ComparisonOf) -> None:
    for run in real_runs(comparison, "priorities"):
        preempted = {id for step in run.steps for id in step.preempted}
        assert preempted and preempted <= {"l0", "l1", "l2", "l3", "m0", "m1"}


def test_several_answers_differ_from_each_other(comparison: ComparisonOf) -> None:
    for run in real_runs(comparison, "n = 3"):
        assert len({tuple(run.answers[f"n3/{index}"].token_ids) for index in range(3)}) == 3


def test_answers_end_in_every_way(comparison: ComparisonOf) -> None:
    for run in real_runs(comparison, "endings"):
        answers = run.answers
        assert answers["free"].finish_reason == "length"
        assert isinstance(answers["string"].stop_reason, str)
        assert answers["string+"].text.endswith(str(answers["string+"].stop_reason))
        assert isinstance(answers["token"].stop_reason, int)
        ended_by_model = [answers[f"eos{at}"] for at in range(3)]
        assert any(a.finish_reason == "stop" and len(a.token_ids) > 1 for a in ended_by_model)
        assert len(answers["min"].token_ids) >= 20 > len(answers["eos0"].token_ids)
        assert len(answers["never"].token_ids) == 25


def test_aborts_catch_requests_in_every_state(comparison: ComparisonOf) -> None:
    for run in real_runs(comparison, "aborts"):
        assert "gone" not in run.answers
        assert 0 < len(run.answers["b0"].token_ids) < 50
        assert run.answers["b2"].finish_reason == "length"


def test_random_traffic_preempts_and_shares(comparison: ComparisonOf) -> None:
    runs = list(real_runs(comparison, "random traffic"))
    assert sum(map(preemptions, runs)) > 20
    assert sum(map(cached_tokens, runs)) > 1000
