"""``replay``: a trace through the real engine in virtual time, without the model."""

from __future__ import annotations

import argparse
from typing import Any

from ..report.table import summary_table
from .engine_options import add_engine_verb, add_run_options

_TEXT = (
    "Replay a trace in virtual time: the real scheduler, block manager and output processing, "
    "with step times from --sim-latency and nothing to wait for."
)


def add_parser(verbs: Any) -> None:
    add_engine_verb(verbs, "replay", _TEXT, add_run_options, _run)


def _run(args: argparse.Namespace) -> int:
    from vllm.engine.arg_utils import EngineArgs

    from ..engine.replay_run import RunOptions, replay

    summary = replay(EngineArgs.from_cli_args(args), RunOptions.of(args))
    print(summary_table(summary, "Simulated Serving Result"))
    return 0 if summary["complete"] else 130
