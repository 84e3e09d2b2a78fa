"""``replay``: a trace through the real engine in virtual time, without the model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..report.table import summary_table
from .engine_options import add_engine_verb, add_run_options

_TEXT = (
    "Replay a trace in virtual time: the real scheduler, block manager and output processing, "
    "with step times from --sim-latency and nothing to wait for."
)


def add_parser(verbs: Any) -> None:
    add_engine_verb(verbs, "replay", _TEXT, _add_options, _run)


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_run_options(parser)
    parser.add_argument(
        "--no-report", action="store_true", help="write no report.html beside the records"
    )
    parser.add_argument(
        "--no-fast-forward", dest="fast_forward", action="store_false",
        help="schedule every decode step by itself: slower, and the same files to the byte",
    )  # fmt: skip
    parser.add_argument(
        "--profile", metavar="FILE", type=Path,
        help="write a pstats file, and say where a step's time goes on this machine",
    )  # fmt: skip


def _run(args: argparse.Namespace) -> int:
    from vllm.engine.arg_utils import EngineArgs

    from ..engine.profile import profile_table
    from ..engine.replay_run import RunOptions, replay
    from ..report.page_report import write_report

    summary = replay(
        EngineArgs.from_cli_args(args), RunOptions.of(args), args.profile, args.fast_forward
    )
    print(summary_table(summary, "Simulated Serving Result"))
    if args.profile is not None:
        print(profile_table(args.profile, summary["steps"]))
    if not args.no_report:
        print(f"report: {write_report(args.out)}", file=sys.stderr)
    return 0 if summary["complete"] else 130
