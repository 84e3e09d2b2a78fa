"""The two entry points through which vLLM loads this package."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .config import RECORD_ENV


def platform() -> str | None:
    """``vllm.platform_plugins``: vLLM's first look at ``current_platform``.

    The simulated platform is not claimed here (it is switched on in place, when an
    engine asks for it); it is the one moment that comes before ``EngineArgs`` can be
    used, in every order of imports. A platform is claimed only where vLLM would find
    none at all.
    """
    from vllm.platforms import builtin_platform_plugins

    from .hooks import engine_args

    engine_args.install(_resolve_config)
    if any(map(_answers, builtin_platform_plugins.values())):
        return None
    return "vllm.sim.engine.no_device.NoDevicePlatform"


def _answers(detect: Callable[[], str | None]) -> bool:
    try:
        return detect() is not None
    except Exception:
        # Upstream's own loop takes any error of a detection for "not this one".
        return False


def general() -> None:
    """``vllm.general_plugins``: in every process, before arguments are parsed or used."""
    from .hooks import cli, engine_args

    engine_args.install(_resolve_config)
    cli.install(_subcommand)
    if RECORD_ENV in os.environ:
        _record()
    if Path(sys.argv[0]).name == "vllm":
        _report_errors_in_one_line()


def _record() -> None:
    """``--sim-record``, which reaches the engine's process by the environment."""
    from .engine.recorder_server import record_core
    from .hooks import engine_core

    engine_core.install(record_core)


def _resolve_config(engine_args: Any, upstream: Callable[[], Any]) -> Any:
    from .engine.activation import resolve_config

    return resolve_config(engine_args, upstream)


def _report_errors_in_one_line() -> None:
    """On vLLM's command line an error of ours is a message to its user, not a traceback."""
    from .errors import SimError

    upstream = sys.excepthook

    def excepthook(kind: type[BaseException], error: BaseException, at: Any) -> None:
        if isinstance(error, SimError):
            print(f"vllm: error: {error}", file=sys.stderr)
        else:
            upstream(kind, error, at)

    sys.excepthook = excepthook


def _subcommand() -> Any:
    from .cli.subcommand import SimSubcommand

    return SimSubcommand()
