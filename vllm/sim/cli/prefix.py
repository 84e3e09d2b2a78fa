"""``prefix``: how much KV a trace shares, and what cache it needs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .engine_options import add_engine_verb, add_run_options

_TEXT = (
    "The prefix-sharing laboratory: run traces through the real scheduler and block manager, and "
    "report what their prompts share, block by block, and how large a KV cache that needs."
)


def add_parser(verbs: Any) -> None:
    add_engine_verb(verbs, "prefix", _TEXT, _add_options, _run)


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_run_options(parser, several=True)
    parser.add_argument(
        "--infinite", action="store_true",
        help="a KV cache in which nothing is ever evicted, sized from the trace",
    )  # fmt: skip
    parser.add_argument(
        "--no-prefix-caching", action="store_true",
        help="run each trace a second time, without prefix caching, to compare",
    )  # fmt: skip
    parser.add_argument(
        "--prefill-only", action="store_true",
        help="cut each answer to one token: faster; what answers add to the cache is left out",
    )  # fmt: skip


def _run(args: argparse.Namespace) -> int:
    from vllm.engine.arg_utils import EngineArgs

    from ..engine.prefix_options import PrefixOptions
    from ..engine.prefix_run import run_prefix
    from ..report.prefix_page import write_report
    from ..report.prefix_pictures import draw_pictures
    from ..report.prefix_table import prefix_table, sizing_line

    out: Path = args.out
    engine_args = EngineArgs.from_cli_args(args)
    runs = [run_prefix(engine_args, options) for options in PrefixOptions.all_of(args)]
    print(prefix_table(runs))
    for facts in runs:
        print(sizing_line(facts))
    draw_pictures(out, runs)
    print(f"{write_report(out, runs)} has the pictures, and shows the runs side by side")
    return 0 if all(facts["complete"] for facts in runs) else 130
