"""``vllm sim …`` as a subcommand of vLLM's own command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .hook import Hook, wrap

MODULE = "vllm.entrypoints.cli.run_batch"


def install(make_subcommand: Callable[[], Any]) -> None:
    """Add the subcommand that ``make_subcommand()`` gives."""

    def cmd_init(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        return [*wrapped(*args, **kwargs), make_subcommand()]

    wrap(MODULE, "cmd_init", cmd_init, ())


HOOK = Hook(
    target=f"{MODULE}:cmd_init",
    what="adds the subcommand `sim` behind `run-batch`",
    why="vLLM's list of subcommands is closed; this entry of it is read after the plugins "
    "have been loaded",
    until="upstream has an entry point for subcommands",
)
