"""Where a step's time goes: groups of functions, and libraries at the cost of their callers."""

from __future__ import annotations

from pathlib import Path

import pytest

from vllm.sim.engine.profile import profile_table, profiled, seconds_by_group

SCHEDULER = ("/x/vllm/v1/core/sched/scheduler.py", 1, "schedule")
BLOCKS = ("/x/vllm/v1/core/block_pool.py", 1, "get_new_blocks")
SIMULATOR = ("/y/vllm/sim/engine/executor.py", 1, "execute_model")
SORTED = ("~", 0, "<built-in method sorted>")
LIBRARY = ("/x/numpy/core.py", 1, "array")


def test_a_librarys_time_is_its_callers() -> None:
    stats = {
        SCHEDULER: (1, 1, 2.0, 9.0, {}),
        BLOCKS: (1, 1, 1.0, 1.0, {SCHEDULER: (1, 1, 1.0, 1.0)}),
        SIMULATOR: (1, 1, 0.5, 3.0, {}),
        LIBRARY: (2, 2, 1.0, 2.0, {SIMULATOR: (1, 1, 1.0, 2.0)}),
        SORTED: (4, 4, 4.0, 4.0, {SCHEDULER: (3, 3, 3.0, 3.0), LIBRARY: (1, 1, 1.0, 1.0)}),
    }
    assert seconds_by_group(stats) == {
        "scheduler": pytest.approx(5.0), "block manager": 1.0, "simulator": pytest.approx(2.5),
    }  # fmt: skip


def test_a_profile_is_written_and_read(tmp_path: Path) -> None:
    with profiled(tmp_path / "profile"):
        sum(range(1000))
    assert "us a step" in profile_table(tmp_path / "profile", steps=10)


def test_functions_that_call_each_other_end(tmp_path: Path) -> None:
    other = ("/x/numpy/other.py", 1, "again")
    stats = {
        LIBRARY: (1, 1, 1.0, 1.0, {other: (1, 1, 1.0, 1.0)}),
        other: (1, 1, 0.0, 1.0, {LIBRARY: (1, 1, 0.0, 1.0)}),
    }
    assert seconds_by_group(stats) == {"other": pytest.approx(1.0)}
