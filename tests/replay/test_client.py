"""Which row is sent when: tables that a person can check. No engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vllm.sim.errors import SettingsError, TraceError
from vllm.sim.trace.read import PlacedRow
from vllm.sim.trace.schema import TraceRow
from vllm.sim.workload.client import Clients, Sending

S = 10**9
PATH = Path("trace.jsonl")


def clients(*rows: dict[str, Any], **options: Any) -> Clients:
    placed = [
        PlacedRow(line, 0, TraceRow(input_length=4, output_length=2, **row))
        for line, row in enumerate(rows, start=1)
    ]
    return Clients(placed, PATH, **options)


def served(of: Clients, each_takes_s: float) -> list[tuple[int, float]]:
    """``(row number, arrival in seconds)`` when every request takes the same time."""
    sent: list[tuple[int, float]] = []
    running: list[tuple[int, Sending]] = []
    while True:
        due_ns = of.due_ns()
        if due_ns is not None and not (running and running[0][0] <= due_ns):
            sending = of.send()
            sent.append((sending.number, sending.arrival_ns / S))
            running.append((sending.arrival_ns + round(each_takes_s * S), sending))
        elif running:
            end_ns, sending = running.pop(0)
            of.ended(sending, end_ns)
        else:
            return sent


def test_rows_come_at_their_timestamps_from_the_first_on() -> None:
    of = clients({"timestamp": 10.0}, {"timestamp": 10.5}, {"timestamp": 12.0})
    assert served(of, 5) == [(0, 0), (1, 0.5), (2, 2.0)]


def test_a_rate_scale_divides_timestamps_and_leaves_think_times() -> None:
    of = clients(
        {"timestamp": 0.0, "session_id": "a"},
        {"timestamp": 1.0},
        {"session_id": "a", "think_time": 3.0},
        rate_scale=2.0,
    )
    assert served(of, 1) == [(0, 0), (1, 0.5), (2, 4.0)]


def test_rows_without_times_come_at_once() -> None:
    of = clients({}, {}, {})
    assert not of.plan.timed and of.plan.rows == 3
    assert served(of, 1) == [(0, 0), (1, 0), (2, 0)]


def test_a_turn_waits_for_the_turn_before_it_and_thinks() -> None:
    of = clients(
        {"timestamp": 0.0, "session_id": "a", "turn": 0},
        {"timestamp": 0.5, "session_id": "b", "turn": 0},
        {"session_id": "a", "turn": 1, "think_time": 2.0},
        {"session_id": "b", "turn": 1, "think_time": 0.0},
        {"session_id": "a", "turn": 2, "think_time": 1.0},
        {"timestamp": 20.0},
    )
    # a: 0 to 1, thinks until 3, to 4, thinks until 5. b: 0.5 to 1.5, goes on at once.
    assert served(of, 1) == [(0, 0), (1, 0.5), (3, 1.5), (2, 3.0), (4, 5.0), (5, 20.0)]


def test_timestamps_can_be_asked_for_in_spite_of_sessions() -> None:
    rows = (
        {"timestamp": 0.0, "session_id": "a"},
        {"timestamp": 1.0, "session_id": "a", "think_time": 9.0},
    )
    assert served(clients(*rows, arrivals="timestamps"), 5) == [(0, 0), (1, 1.0)]
    assert served(clients(*rows), 5) == [(0, 0), (1, 14.0)]
    assert served(clients(*rows, arrivals="at-once"), 5) == [(0, 0), (1, 0)]


def test_sessions_can_be_asked_for_in_spite_of_timestamps() -> None:
    rows = ({"timestamp": 0.0, "session_id": 7}, {"timestamp": 1.0, "session_id": 7})
    assert served(clients(*rows), 5) == [(0, 0), (1, 1.0)]
    assert served(clients(*rows, arrivals="sessions"), 5) == [(0, 0), (1, 5.0)]


def test_no_more_than_so_many_at_a_time() -> None:
    of = clients({}, {}, {}, {}, {}, max_concurrency=2)
    assert served(of, 3) == [(0, 0), (1, 0), (2, 3.0), (3, 3.0), (4, 6.0)]


def test_who_comes_later_than_a_slot_is_free_does_not_wait() -> None:
    of = clients({"timestamp": 0.0}, {"timestamp": 1.0}, {"timestamp": 9.0}, max_concurrency=1)
    assert served(of, 2) == [(0, 0), (1, 2.0), (2, 9.0)]


def test_rows_are_read_only_as_they_are_needed() -> None:
    read: list[int] = []

    class Rows:
        def __iter__(self):  # type: ignore[no-untyped-def]
            for line in range(1, 1001):
                read.append(line)
                row = TraceRow(input_length=1, output_length=1, timestamp=float(line))
                yield PlacedRow(line, 0, row)

    of = Clients(Rows(), PATH)
    read.clear()  # the first pass
    for _ in range(10):
        of.due_ns()
        of.send()
    assert len(read) <= 11


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (
            [{"timestamp": 2.0}, {"timestamp": 1.0}], {},
            r"line 2: timestamp 1.0 comes after 2.0 \(line 1\): sort the trace with "
            r"`vllm sim trace convert --sort`",
        ),
        ([{"timestamp": 1.0}, {}], {}, "line 2: no timestamp"),
        ([{}], {"arrivals": "timestamps"}, "line 1: no timestamp"),
        (
            [{"session_id": "a", "turn": 1}, {"session_id": "a", "turn": 1}], {},
            "line 2: turn 1 of session 'a' stands behind turn 1",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(
    rows: list[dict[str, Any]], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TraceError, match=message):
        clients(*rows, **options)


def test_impossible_options_are_refused() -> None:
    with pytest.raises(SettingsError, match="--rate-scale"):
        clients({}, rate_scale=0)
    with pytest.raises(SettingsError, match="--max-concurrency"):
        clients({}, max_concurrency=0)
