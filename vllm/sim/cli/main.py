"""The parser of ``vllm sim``, and what happens with an error.

Results go to stdout, diagnostics to stderr. Exit codes: 0 done, 1 the answer is no
(a comparison that differs, say), 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from ..errors import SimError
from . import calibrate, compare, devices, hooks, prefix, record, replay, timeline, trace, validate

_VERBS = (trace, replay, prefix, record, calibrate, validate, timeline, compare, devices, hooks)

DESCRIPTION = "Tools around the simulator: traces, replays, measurements, pictures."


def fill_parser(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add every verb to a parser."""
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb in _VERBS:
        verb.add_parser(verbs)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the verb that was parsed; returns the exit code."""
    try:
        return args.func(args)
    except SimError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has left (`| head`), which is no error.
        sys.stderr.close()
        return 0


def main(argv: Sequence[str] | None = None) -> int:
    """``vllm-sim`` and ``python -m vllm.sim``."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    parser = argparse.ArgumentParser(prog="vllm-sim", description=DESCRIPTION)
    return run(fill_parser(parser).parse_args(argv))
