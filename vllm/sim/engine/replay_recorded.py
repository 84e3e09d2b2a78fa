"""A recorded run once more, simulated: its arrivals, its configuration, another clock."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from vllm.engine.arg_utils import EngineArgs

from ..trace.read import TraceFile
from .recorder_config import recorded_arguments
from .recorder_trace import TRACE
from .replay_run import RunOptions, replay


def replay_recorded(
    recorded: Path, out: Path, latency: str, device: str | None = None
) -> dict[str, Any]:
    """Replay what ``vllm sim record`` wrote.

    Args:
        recorded: Its folder.
        out: Where the records of the simulated run go.
        latency: As ``--sim-latency``.
        device: As ``--sim-device``; None is the device that was recorded, where it was a CPU.

    Returns:
        The summary of the simulated run.

    Raises:
        SimError: The folder is no recording.
    """
    trace = recorded / TRACE
    with closing(TraceFile(trace)) as file:
        next(iter(file))
        arguments = recorded_arguments(file.header, str(trace))
    if device is not None:
        arguments["sim_device"] = device
    engine_args = EngineArgs(**arguments, sim_latency=latency)
    return replay(engine_args, RunOptions(trace, out, format="vllm-sim", arrivals="timestamps"))
