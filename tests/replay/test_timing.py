"""When a request's tokens come: computed by hand for steps of 50 ms."""

from __future__ import annotations

from typing import Any

import pytest

from replay.conftest import ReplayRows, Run

pytestmark = pytest.mark.engine

MS = 10**6
# A request that keeps the engine busy with steps that end at 50, 100, 150, … ms.
BUSY = {"input_length": 40, "output_length": 12, "timestamp": 0.0}


def row(arrival_ms: float, tokens: int = 2, **more: Any) -> dict[str, Any]:
    timestamp = arrival_ms / 1000
    return {"input_length": 20, "output_length": tokens, "timestamp": timestamp, **more}


def first_token_ms(run: Run, request_id: str) -> float:
    first_ns = run.requests[request_id].first_token_ns
    assert first_ns is not None
    return first_ns / MS


def scheduled_in(run: Run, request_id: str) -> int:
    """The first step that holds the request."""
    return next(
        step.step - run.steps[0].step
        for step in run.steps
        if any(request.id == request_id for request in step.requests)
    )


@pytest.mark.parametrize(
    ("asynchronous", "arrival_ms", "step", "first_ms"),
    [
        # Steps begin at 0, 50, 100, …; step n ends at 50 (n + 1).
        # Synchronous: the step that is scheduled at the end of the running one.
        (False, 205, 5, 300),
        (False, 249.999, 5, 300),
        (False, 250, 5, 300),  # a tie counts as arrived
        (False, 250.001, 6, 350),
        # Asynchronous: that one has been scheduled already, the request joins the next.
        (True, 205, 6, 350),
        (True, 250, 6, 350),
        (True, 250.001, 7, 400),
    ],
)
def test_an_arrival_inside_a_step(
    replay_rows: ReplayRows, asynchronous: bool, arrival_ms: float, step: int, first_ms: float
) -> None:
    run = replay_rows([BUSY, row(arrival_ms)], async_scheduling=asynchronous)
    assert scheduled_in(run, "r1") == step
    assert first_token_ms(run, "r1") == first_ms
    assert run.requests["r1"].arrival_ns == arrival_ms * MS


def test_the_case_in_the_drivers_table(replay_rows: ReplayRows) -> None:
    """Steps end at 205, 255, 305, 355: an arrival at 225 has its token 130 ms later."""
    # r0 is alone and ends at 50; the engine then idles until r1 begins the steps at 105.
    rows = [row(0, 1), {**BUSY, "timestamp": 0.105}, row(225)]
    run = replay_rows(rows, async_scheduling=True)
    assert first_token_ms(run, "r2") == 355


@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_idle_engine_begins_at_the_arrival(replay_rows: ReplayRows, asynchronous: bool) -> None:
    run = replay_rows([row(0, 1), row(777)], async_scheduling=asynchronous)
    assert run.requests["r1"].ttft_ns == 50 * MS
    assert run.requests["r1"].first_scheduled_ns == 777 * MS


def test_a_step_that_nobody_waits_for_holds_up_who_comes_meanwhile(
    replay_rows: ReplayRows,
) -> None:
    """Asynchronous: r0's end at 100 ms is seen when its next step has been started already."""
    rows = [row(0, 2), row(120, 1)]
    run = replay_rows(rows, async_scheduling=True)
    assert run.requests["r0"].end_ns == 100 * MS
    # The step that went on with r0 runs until 150; r1's runs after it.
    assert run.requests["r1"].first_token_ns == 200 * MS
    run = replay_rows(rows, async_scheduling=False)
    assert run.requests["r1"].first_token_ns == 170 * MS


def test_tokens_come_a_step_apart(replay_rows: ReplayRows) -> None:
    run = replay_rows([row(0, 5)])
    record = run.requests["r0"]
    assert record.itl_ns == [50 * MS] * 4
    assert record.output_tokens == 5 and record.finish_reason == "stop"
    assert record.end_ns == 250 * MS and record.tpot_ns == 50 * MS


def test_a_prompt_in_chunks_has_its_token_at_the_end_of_the_last(replay_rows: ReplayRows) -> None:
    run = replay_rows(
        [{"input_length": 300, "output_length": 2, "timestamp": 0.0}],
        max_num_batched_tokens=128, async_scheduling=True,
    )  # fmt: skip
    chunks = [(r.new_tokens, r.samples) for step in run.steps for r in step.requests][:3]
    assert chunks == [(128, False), (128, False), (44, True)]
    assert first_token_ms(run, "r0") == 150


def test_one_slot_makes_the_second_wait(replay_rows: ReplayRows) -> None:
    run = replay_rows([row(0, 3), row(10, 1)], max_num_seqs=1, async_scheduling=False)
    assert run.requests["r1"].first_scheduled_ns == 150 * MS
    assert run.requests["r1"].ttft_ns == 190 * MS


def test_a_session_goes_on_when_its_client_has_thought(replay_rows: ReplayRows) -> None:
    turns = [
        {"session_id": "a", "turn": turn, "think_time": 0.3, "input_length": 20, "output_length": 2}
        for turn in range(3)
    ]
    run = replay_rows(turns, async_scheduling=False)
    # 100 ms a turn, 300 ms between.
    assert [run.requests[f"r{at}"].arrival_ns for at in range(3)] == [0, 400 * MS, 800 * MS]
    assert [record.turn for record in run.by_end] == [0, 1, 2]


def test_max_concurrency_counts_from_when_a_request_is_sent(replay_rows: ReplayRows) -> None:
    rows = [{"input_length": 20, "output_length": 2} for _ in range(3)]
    run = replay_rows(rows, {"max_concurrency": 1}, async_scheduling=False)
    assert [run.requests[f"r{at}"].arrival_ns for at in range(3)] == [0, 100 * MS, 200 * MS]
    assert {record.ttft_ns for record in run.by_end} == {50 * MS}


def test_a_pipeline_delivers_at_the_end_of_its_last_stage(replay_rows: ReplayRows) -> None:
    run = replay_rows([row(0, 3)], pipeline_parallel_size=2)
    record = run.requests["r0"]
    assert record.ttft_ns == 50 * MS and record.output_tokens == 3
    assert all(gap_ns >= 50 * MS for gap_ns in record.itl_ns)
