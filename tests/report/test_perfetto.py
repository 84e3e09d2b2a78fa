"""The trace for Perfetto: by its own trace processor where that is, and by its rules."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from vllm.sim.records import RequestRecord, ScheduledRequest, StepRecord
from vllm.sim.report.perfetto import ENGINE, REQUESTS, write_perfetto

MS = 1_000_000


def steps() -> list[StepRecord]:
    """r0 prefills and decodes; r1 comes, is preempted, and comes back."""
    scheduled = [
        [("r0", 32, 0, "prefill")],
        [("r0", 1, 32, "decode"), ("r1", 20, 0, "prefill")],
        [("r0", 1, 33, "decode")],
        [("r1", 21, 0, "prefill")],
        [("r1", 1, 21, "decode")],
    ]
    return [
        StepRecord(
            number, number * 7 * MS + 1, 7 * MS - 1,
            [ScheduledRequest(*one) for one in requests], running=1, waiting=number == 2,
            preempted=["r1"] if number == 2 else [], finished=["r0"] if number == 3 else [],
            free_blocks=9 - number, used_blocks=1 + number, cached_tokens=0,
        )
        for number, requests in enumerate(scheduled)
    ]  # fmt: skip


REQUEST = RequestRecord("r0", 0, 32, 3, 0, 0, "length", 1, 7 * MS, 21 * MS, [7 * MS, 7 * MS])


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.json"
    events = write_perfetto(path, steps(), [REQUEST])
    assert len(json.loads(path.read_text())["traceEvents"]) == events
    return path


def slices(trace: Path, group: int) -> list[dict[str, Any]]:
    events = json.loads(trace.read_text())["traceEvents"]
    return [one for one in events if one["ph"] == "X" and one["pid"] == group]


def test_every_nanosecond_is_kept(trace: Path) -> None:
    for event, step in zip(slices(trace, ENGINE), steps(), strict=True):
        assert round(event["ts"] * 1000) == step.start_ns
        assert round(event["dur"] * 1000) == step.duration_ns


def test_slices_of_a_track_do_not_overlap(trace: Path) -> None:
    for group in (ENGINE, REQUESTS):
        ends: dict[int, float] = {}
        for event in slices(trace, group):
            assert event["ts"] >= ends.get(event["tid"], 0.0)
            ends[event["tid"]] = event["ts"] + event["dur"]


def test_steps_that_overlap_get_tracks_of_their_own(tmp_path: Path) -> None:
    two = steps()[:2]
    two[1].start_ns = two[0].start_ns + 1
    write_perfetto(tmp_path / "trace.json", two)
    assert [one["tid"] for one in slices(tmp_path / "trace.json", ENGINE)] == [1, 2]


def test_perfetto_reads_it(trace: Path) -> None:
    api = pytest.importorskip(
        "perfetto.trace_processor", reason="needs Perfetto's trace processor: pip install perfetto"
    )
    with api.TraceProcessor(
        trace=str(trace), config=api.TraceProcessorConfig(bin_path=_trace_processor())
    ) as processor:

        def rows(sql: str) -> list[tuple[Any, ...]]:
            return [tuple(vars(row).values()) for row in processor.query(sql)]

        assert rows("select name from process order by pid") == [("engine",), ("requests",)]
        engine = (
            "select s.ts, s.dur, s.name from slice s join thread_track t on s.track_id = t.id "
            "join thread using (utid) where thread.name = '{}' and s.dur > 0 order by s.ts"
        )
        assert rows(engine.format("steps")) == [
            (step.start_ns, step.duration_ns, name)
            for step, name in zip(
                steps(),
                ("1 prefill", "1 prefill+1 decode", "1 decode", "1 prefill", "1 decode"),
                strict=True,
            )
        ]
        names = [name for _, _, name in rows(engine.format("r1"))]
        assert names == ["prefill", "preempted", "prefill", "decode"]
        used = rows(
            "select value from counter c join counter_track t on c.track_id = t.id "
            "where t.name like 'KV blocks in use%' order by c.ts"
        )
        assert [value for (value,) in used] == [step.used_blocks for step in steps()]
        assert rows("select count(*) from stats where severity = 'error' and value > 0") == [(0,)]


def _trace_processor() -> str:
    """The package fetches its binary when it is first used; a test fetches nothing."""
    if found := shutil.which("trace_processor_shell") or shutil.which("trace_processor"):
        return found
    fetched = Path.home() / ".local" / "share" / "perfetto" / "prebuilts"
    for path in sorted(fetched.glob("trace_processor_shell-*")):
        if path.suffix != ".tmp":
            return str(path)
    pytest.skip(
        "the package perfetto has not fetched its binary: open any trace with its TraceProcessor"
    )
