"""Verbs that run an engine: their own options, and any of vLLM's engine arguments.

vLLM's arguments are known only once vLLM is imported, which takes seconds. So such a
verb takes its words as they are when the command line is parsed, and parses them with
vLLM's own parser when it runs. ``--help`` shows the verb's own options at once.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from ..trace.formats import FORMATS
from ..workload.client import ARRIVALS
from .load_vllm import load_vllm
from .trace_options import positive_int

AddOptions = Callable[[argparse.ArgumentParser], None]
Run = Callable[[argparse.Namespace], int]

Defaults = Literal["serve", "llm"]

_EPILOG = (
    "Any other option is one of vLLM's engine arguments, as `vllm serve` takes them "
    "(--max-num-seqs, --tensor-parallel-size, …) and the simulator's (--sim-device, "
    "--sim-latency, …): see `vllm serve --help=all`."
)


def add_engine_verb(verbs: Any, name: str, text: str, add_options: AddOptions, run: Run) -> None:
    """Add a verb whose options are its own and the engine's.

    Args:
        verbs: The subparsers.
        text: What it does, for both helps.
        add_options: Adds the verb's own options.
        run: Takes the parsed arguments, vLLM's among them; returns the exit code.
    """
    parser = verbs.add_parser(
        name, help=text, description=text, epilog=_EPILOG, usage=f"{name} TRACE --model M …"
    )
    add_options(parser)
    parser.add_argument("--model", metavar="M", help="the model: a folder, or a name on the hub")
    parser.parse_known_args = partial(_keep_words, parser, add_options, run)


def _keep_words(
    parser: argparse.ArgumentParser,
    add_options: AddOptions,
    run: Run,
    words: Sequence[str] | None = None,
    namespace: argparse.Namespace | None = None,
) -> tuple[argparse.Namespace, list[str]]:
    """Stands in for ``parse_known_args`` of the verb's parser."""
    words = sys.argv[1:] if words is None else words
    if {"-h", "--help"} & set(words):
        parser.print_help()
        parser.exit()
    namespace = namespace or argparse.Namespace()
    namespace.func = lambda _: run(_parse(parser.prog, add_options, words))
    return namespace, []


def _parse(prog: str, add_options: AddOptions, words: Sequence[str]) -> argparse.Namespace:
    start_vllm()
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    parser = FlexibleArgumentParser(prog=prog)
    add_options(parser)
    AsyncEngineArgs.add_cli_args(parser)
    args = parser.parse_args(list(words))
    if not {word.partition("=")[0] for word in words} & {"--model"}:
        parser.error("the following arguments are required: --model")
    return args


def start_vllm() -> None:
    """Load vLLM, with its own log on stderr and of warnings only.

    VLLM_LOGGING_LEVEL and VLLM_LOGGING_STREAM win over that. The log is configured here
    once: vLLM leaves a configuration alone that is already as it wants it.
    """
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
    logging.getLogger("vllm").setLevel(os.environ["VLLM_LOGGING_LEVEL"])
    load_vllm()
    from vllm.config.logging import LoggingConfig
    from vllm.logger import configure_logging

    configure_logging(LoggingConfig())
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    ours = logging.getLogger("vllm.sim")
    ours.handlers, ours.propagate = [handler], False
    ours.setLevel(logging.INFO)


def add_run_options(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """What the verbs that run a trace have in common; ``several`` takes more than one."""
    parser.add_argument(
        "trace", metavar="TRACE", type=Path, nargs="+" if several else None,
        help="the trace, in any known format",
    )  # fmt: skip
    parser.add_argument(
        "--out", metavar="DIR", type=Path, required=True,
        help="the folder for summary.json, requests.jsonl and steps.jsonl",
    )  # fmt: skip
    parser.add_argument(
        "--from", dest="from_format", choices=("auto", *FORMATS), default="auto",
        help="the format of TRACE (default: auto, told from its start)",
    )  # fmt: skip
    parser.add_argument(
        "--arrivals", choices=ARRIVALS, default="auto",
        help="when a row is sent: at its timestamp (timestamps), after the turn before it and "
        "its think time (sessions), all at time 0 (at-once), or whatever its row says (auto)",
    )  # fmt: skip
    parser.add_argument(
        "--rate-scale", metavar="X", type=float, default=1.0,
        help="divide all timestamps by X: 2 sends twice as fast (think times stay)",
    )  # fmt: skip
    parser.add_argument(
        "--max-concurrency", metavar="N", type=positive_int,
        help="no more than N requests on their way; further ones wait with the client",
    )  # fmt: skip
    parser.add_argument(
        "--defaults-of", choices=get_args(Defaults), default="serve",
        help="whose defaults hold for batch limits that are not given (default: serve)",
    )  # fmt: skip
