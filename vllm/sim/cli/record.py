"""``record``: a trace through a real engine in real time, measured."""

from __future__ import annotations

import argparse
from typing import Any

from ..report.table import summary_table
from .engine_options import add_engine_verb, add_run_options

_TEXT = (
    "Run a trace through a real engine on this machine, in real time, and write down the trace "
    "as it was served (with the resolved configuration), its steps and its requests, measured."
)


def add_parser(verbs: Any) -> None:
    add_engine_verb(verbs, "record", _TEXT, add_run_options, _run)


def _run(args: argparse.Namespace) -> int:
    from vllm.engine.arg_utils import EngineArgs

    from ..engine.recorder_run import record
    from ..engine.replay_run import RunOptions

    summary = record(EngineArgs.from_cli_args(args), RunOptions.of(args))
    print(summary_table(summary, "Recorded Serving Result"))
    return 0 if summary["complete"] else 130
