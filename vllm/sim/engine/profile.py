"""``replay --profile``: where a step's time goes on this machine.

Python's own profiler slows small calls down the most, so the shares are a guide and the sum is
not the wall time of an unprofiled run.
"""

from __future__ import annotations

import cProfile
import pstats
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import SettingsError

# The first that a file's path holds decides.
_GROUPS = (
    ("simulator", "/vllm/sim/"),
    ("scheduler", "/vllm/v1/core/sched/"),
    ("scheduler", "/vllm/v1/request.py"),
    ("block manager", "/vllm/v1/core/"),
    ("output processing", "/vllm/v1/engine/output_processor.py"),
    ("output processing", "/vllm/v1/engine/detokenizer.py"),
    ("output processing", "/vllm/v1/engine/logprobs.py"),
    ("output processing", "/vllm/tokenizers/"),
    ("input processing", "/vllm/v1/engine/input_processor.py"),
    ("engine loop", "/vllm/v1/engine/"),
)
_OTHER = "other"
_DEPTH = 12  # of libraries calling libraries

Function = tuple[str, int, str]  # as pstats has it: file, line, name


@contextmanager
def profiled(path: Path | None) -> Iterator[None]:
    """Profile what is inside, and write a pstats file; do nothing without a path.

    Raises:
        SettingsError: The file cannot be written.
    """
    if path is None:
        yield
        return
    profiler = cProfile.Profile()
    profiler.enable()
    try:
        yield
    finally:
        profiler.disable()
        try:
            profiler.dump_stats(path)
        except OSError as error:
            raise SettingsError(f"--profile {path} cannot be written: {error.strerror}") from None


def profile_table(path: Path, steps: int) -> str:
    """The groups of a pstats file, the costliest first.

    Args:
        path: The file.
        steps: By how many engine steps to divide.
    """
    # Only this class method's result has a type that tells of `stats`.
    stats: Any = pstats.Stats(str(path))
    seconds = seconds_by_group(stats.stats)
    total = sum(seconds.values()) or 1.0
    lines = [f"{'where a step goes, profiled':<28}{'us a step':>10}{'share':>9}"]
    for group, spent in sorted(seconds.items(), key=lambda item: -item[1]):
        lines.append(f"{group:<28}{1e6 * spent / max(steps, 1):>10.1f}{spent / total:>9.1%}")
    lines.append(f"{path}: look into it with python -m pstats")
    return "\n".join(lines)


def seconds_by_group(stats: Mapping[Function, tuple[Any, ...]]) -> dict[str, float]:
    """Own time of each group; a library's time is its callers'.

    Args:
        stats: Function to (primitive calls, calls, own s, cumulative s, callers), as
            ``pstats.Stats.stats`` has it.
    """
    seconds: defaultdict[str, float] = defaultdict(float)
    for function, (_, _, own_s, _, callers) in stats.items():
        if (group := _group_of(function)) is not None:
            seconds[group] += own_s
        else:
            _give_to_callers(stats, callers, own_s, 2, seconds, _DEPTH)
    return dict(seconds)


def _give_to_callers(
    stats: Mapping[Function, tuple[Any, ...]],
    callers: Mapping[Function, tuple[Any, ...]],
    spent_s: float,
    weight: int,
    seconds: defaultdict[str, float],
    depth: int,
) -> None:
    """Share out a library's time by each caller's part in it (its own time, then cumulative)."""
    total = sum(numbers[weight] for numbers in callers.values())
    if not total or not depth:
        seconds[_OTHER] += spent_s
        return
    for caller, numbers in callers.items():
        part_s = spent_s * numbers[weight] / total
        if (group := _group_of(caller)) is not None:
            seconds[group] += part_s
        elif part_s:
            _give_to_callers(stats, stats[caller][4], part_s, 3, seconds, depth - 1)


def _group_of(function: Function) -> str | None:
    path = function[0].replace("\\", "/")
    return next((group for group, part in _GROUPS if part in path), None)
