"""``vllm sim trace``: make, convert, check and describe traces."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from ..errors import SimError
from . import trace_check, trace_convert, trace_generate, trace_stats


def add_parser(subparsers: Any) -> None:
    """Add the verb ``trace``. Its ``func`` takes the parsed arguments and returns an exit code."""
    trace = subparsers.add_parser(
        "trace", help="make, convert, check and describe traces", description=__doc__
    )
    verbs = trace.add_subparsers(dest="trace_verb", metavar="VERB", required=True)
    for module in (trace_generate, trace_convert, trace_check, trace_stats):
        parser, run = module.add_parser(verbs)
        parser.set_defaults(func=_reported(run))


def _reported(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """An error of ours is one line on stderr and exit code 2."""

    def func(args: argparse.Namespace) -> int:
        try:
            return run(args)
        except SimError as error:
            print(f"vllm sim trace: {error}", file=sys.stderr)
            return 2

    return func
