"""A step log held against what was seen of the scheduler from outside."""

from __future__ import annotations

from collections.abc import Iterable

from support.watch import Step

from vllm.sim.records import ScheduledRequest, StepRecord


def check_log(log: Iterable[StepRecord], seen: Iterable[Step], async_scheduling: bool) -> None:
    """Every field of every record follows from the steps that were seen."""
    records = iter(log)
    number = end_ns = 0
    finished: list[str] = []
    preempted: list[str] = []
    for step in seen:
        finished += step.finished
        preempted += step.preempted
        if not step.scheduled:  # nothing for the device to do: no record, the next one tells
            continue
        record = next(records)
        assert record.step == number
        assert {one.id: one for one in record.requests} == {
            id: _expected(step, id) for id in step.scheduled
        }
        sampling = {request.id for request in record.requests if request.samples}
        delivered = {given.id for given in step.delivered if given.token_ids}
        # With async scheduling a step may sample for a request that its last token had ended.
        assert delivered <= sampling if async_scheduling else delivered == sampling
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


def _expected(step: Step, id: str) -> ScheduledRequest:
    computed, tokens, known = step.computed[id], step.scheduled[id], step.known[id]
    newest_only = step.outputs[id] > 0 and computed == known - 1
    return ScheduledRequest(
        id=id,
        new_tokens=tokens,
        computed_tokens=computed,
        phase="decode" if newest_only else "prefill",
        cached_tokens=computed if id in step.new else 0,
        samples=computed + tokens == known,
    )
