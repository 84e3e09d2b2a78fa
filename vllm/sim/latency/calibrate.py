"""From step logs to a file that ``--sim-latency`` takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import RecordingError
from ..records import StepRecord
from ..step_log import read_steps
from .fit import FitReport, fit_steps


def calibrate(paths: Sequence[str | Path], out: str | Path) -> FitReport:
    """Fit the step times of one or more recorded runs, and write the fitted file.

    Args:
        paths: Step logs, or folders that hold ``steps*.jsonl``.
        out: The file to write.

    Raises:
        RecordingError: A step log is missing or broken.
        LatencyError: Too few steps, or the file cannot be written.
    """
    logs = [log for path in paths for log in _logs(Path(path))]

    def steps() -> Iterator[StepRecord]:
        for log in logs:
            yield from read_steps(log)

    model, report = fit_steps(steps(), [f"{log.parent.name}/{log.name}" for log in logs])
    model.save(out)
    return report


def _logs(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    logs = sorted(path.glob("steps*.jsonl"))
    if not logs:
        raise RecordingError(f"{path}: holds no steps.jsonl: record with --sim-step-log or record")
    return logs
