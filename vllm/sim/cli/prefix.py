"""``prefix``: how much KV a trace shares, and what cache it needs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .engine_options import add_engine_verb, add_run_options, start_vllm

_TEXT = (
    "The prefix-sharing laboratory: run traces through the real scheduler and block manager, and "
    "report what their prompts share, block by block, and how large a KV cache that needs. With "
    "--steps, report what a server has logged; no trace and no model are needed then."
)


def add_parser(verbs: Any) -> None:
    add_engine_verb(verbs, "prefix", _TEXT, _add_options, _run)
    parser = verbs.choices["prefix"]
    parse_engine_verb = parser.parse_known_args

    def parse(
        words: Sequence[str], namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        live = any(word.partition("=")[0] == "--steps" for word in words)
        return (parse_live if live else parse_engine_verb)(words, namespace)

    def parse_live(
        words: Sequence[str], namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        small = argparse.ArgumentParser(prog=parser.prog, description=_TEXT)
        small.add_argument("--out", metavar="DIR", type=Path, help="the folder for prefix.json")
        _add_live_options(small)
        small.set_defaults(func=_run_live)
        return small.parse_args(words, namespace), []

    parser.parse_known_args = parse


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
    _add_live_options(parser)


def _add_live_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--steps", metavar="DIR", type=Path,
        help="in place of TRACE: the folder that a server was given with --sim-step-log",
    )  # fmt: skip
    parser.add_argument(
        "--kv-events", metavar="ENDPOINT",
        help="with --steps: first listen to the server's KV cache events there, until Ctrl-C",
    )  # fmt: skip
    parser.add_argument(
        "--listen-seconds", metavar="S", type=float, help="with --kv-events: stop after this"
    )


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


def _run_live(args: argparse.Namespace) -> int:
    from ..metrics.prefix_steps import steps_facts
    from ..report.prefix_table import prefix_table
    from ..step_log import read_steps, step_log_path

    events = None
    if args.kv_events is not None:
        start_vllm()
        from ..engine.prefix_events import listen

        events = listen(args.kv_events, args.listen_seconds)
    facts = steps_facts(read_steps(step_log_path(args.steps)), args.steps.name, events)
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
        (args.out / "prefix.json").write_text(text, encoding="utf-8")
    print(prefix_table([facts]))
    return 0
