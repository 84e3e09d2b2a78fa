"""``vllm sim trace``: make, convert, check and describe traces."""

from __future__ import annotations

from typing import Any

from . import trace_check, trace_convert, trace_generate, trace_stats


def add_parser(subparsers: Any) -> None:
    """Add the verb ``trace``. Its ``func`` takes the parsed arguments and returns an exit code."""
    trace = subparsers.add_parser(
        "trace", help="make, convert, check and describe traces", description=__doc__
    )
    verbs = trace.add_subparsers(dest="trace_verb", metavar="VERB", required=True)
    for module in (trace_generate, trace_convert, trace_check, trace_stats):
        parser, run = module.add_parser(verbs)
        parser.set_defaults(func=run)
