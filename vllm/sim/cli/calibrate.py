"""``calibrate``: measured steps to a file for ``--sim-latency``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

_TEXT = (
    "Fit step times to recorded runs, and write the file that --sim-latency takes. Reports the "
    "errors on steps that the fit has not seen."
)


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser("calibrate", help=_TEXT, description=_TEXT)
    parser.add_argument(
        "steps", metavar="STEPS", type=Path, nargs="+",
        help="steps.jsonl of a recorded run, or its folder",
    )  # fmt: skip
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help="the file to write")
    parser.set_defaults(func=_run)


def _run(args: argparse.Namespace) -> int:
    from ..latency.calibrate import calibrate
    from ..metrics.folder import MEASURED, SUMMARY, read_summary

    for folder in args.steps:
        latency = read_summary(folder)["latency"] if (folder / SUMMARY).is_file() else MEASURED
        if latency != MEASURED:
            print(
                f"warning: the steps of {folder} were simulated: a fit to them is a fit to "
                f"{latency}",
                file=sys.stderr,
            )
    print(calibrate(args.steps, args.out).text())
    print(f"written to {args.out}")
    return 0
