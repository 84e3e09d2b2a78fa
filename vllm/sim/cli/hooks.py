"""``hooks``: what the simulator changes in vLLM, and why."""

from __future__ import annotations

import argparse
from typing import Any


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "hooks", help="print the page about the hooks on vLLM (docs/hooks.md)"
    )
    parser.set_defaults(func=_run)


def _run(_: argparse.Namespace) -> int:
    from ..hooks.register import register_page

    print(register_page(), end="")
    return 0
