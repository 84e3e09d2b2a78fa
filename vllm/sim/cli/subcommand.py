"""``vllm sim``: the same parser as a subcommand of vLLM's command line."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from vllm.entrypoints.cli.types import CLISubcommand

from .main import DESCRIPTION, fill_parser, run


class SimSubcommand(CLISubcommand):
    """The ``sim`` subcommand."""

    name = "sim"

    @staticmethod
    def cmd(args: argparse.Namespace) -> None:
        sys.exit(run(args))

    def subparser_init(self, subparsers: Any) -> Any:
        parser = subparsers.add_parser(self.name, help=DESCRIPTION, description=DESCRIPTION)
        return fill_parser(parser)
