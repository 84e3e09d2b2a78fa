"""The simulator's own records say what was seen from outside."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vllm.sim.records import ScheduledRequest

from .compare import Comparison
from .setups import SETUPS, Setup

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
def test_step_log_agrees_with_what_was_seen(
    setup: Setup, comparison: Callable[[Setup], Comparison]
) -> None:
    compared = comparison(setup)
    # Of the real engine: the simulator's records describe it just as well.
    seen = [step for run in compared.real.values() for step in run.steps]
    records = iter(compared.step_log)
    number = 0
    finished: list[str] = []
    preempted: list[str] = []
    end_ns = 0
    for step in seen:
        finished += step.finished
        preempted += step.preempted
        if not step.scheduled:  # nothing for the device to do: no record, the next one tells
            continue
        record = next(records)
        assert record.step == number
        assert {request.id: request for request in record.requests} == {
            id: ScheduledRequest(
                id=id,
                new_tokens=tokens,
                computed_tokens=step.computed[id],
                phase="decode" if (tokens, step.outputs[id] > 0) == (1, True)
                and step.computed[id] == step.known[id] - 1 else "prefill",
                cached_tokens=step.computed[id] if id in step.new else 0,
                samples=step.computed[id] + tokens == step.known[id],
            )
            for id, tokens in step.scheduled.items()
        }  # fmt: skip
        sampling = {request.id for request in record.requests if request.samples}
        delivered = {given.id for given in step.delivered if given.token_ids}
        # With async scheduling a step may sample for a request that its last token had ended.
        assert delivered == sampling if not setup.async_scheduling else delivered <= sampling
        assert record.running == len(step.running)
        assert record.waiting == len(step.waiting)
        assert record.preempted == sorted(preempted)
        assert record.finished == sorted(finished)
        assert record.free_blocks == len(step.free)
        assert record.used_blocks == len(step.blocks) - 1 - len(step.free)
        assert record.cached_tokens == sum(step.computed[id] for id in step.new)
        assert record.start_ns >= end_ns
        end_ns = record.start_ns + record.duration_ns
        number += 1
        finished, preempted = [], []
    assert next(records, None) is None
