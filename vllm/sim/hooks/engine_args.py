"""``EngineArgs`` learns the simulator's arguments, and resolves its configuration with them."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable
from typing import Any

import wrapt

from ..config import USE_SIMULATOR_ENV, USE_SIMULATOR_FLAG, USE_SIMULATOR_HELP, settings_table
from .hook import Hook

ResolveConfig = Callable[[Any, Callable[[], Any]], Any]

MODULE = "vllm.engine.arg_utils"
USE_SIMULATOR = "use_simulator"


def install(resolve_config: ResolveConfig) -> None:
    """Add the fields now, or as soon as the module that is being imported defines the class.

    ``resolve_config(engine_args, upstream)`` is called in place of
    ``EngineArgs.create_engine_config``; ``upstream()`` calls the original.

    This runs from the platform plugin, at vLLM's first look at ``current_platform``.
    With ``from vllm import LLM`` that is before ``arg_utils`` is imported; with
    ``from vllm import EngineArgs`` and ``vllm serve`` it is in the middle of that
    import, when the module has bound the name ``dataclass`` and not yet used it.
    """
    module: Any = sys.modules.get(MODULE)
    if module is None:
        wrapt.register_post_import_hook(lambda _: _patch_classes(resolve_config), MODULE)
    elif "AsyncEngineArgs" not in vars(module):
        if not isinstance(module.dataclass, _Decorator):
            module.dataclass = _Decorator(module, resolve_config)
    else:
        _patch_classes(resolve_config)


class _Decorator:
    """``dataclass``, for a module that is being imported: adds the fields on the way.

    The module's own ``dataclass`` is put back with its last class.
    """

    def __init__(self, module: Any, resolve_config: ResolveConfig) -> None:
        self._module, self._resolve_config = module, resolve_config
        self._dataclass = module.dataclass

    def __call__(self, cls: Any = None, /, **options: Any) -> Any:
        if cls is None:
            return lambda cls: self(cls, **options)
        if cls.__name__ == "EngineArgs":
            _declare_fields(cls)
        made = self._dataclass(cls, **options)
        if cls.__name__ == "AsyncEngineArgs":
            self._module.dataclass = self._dataclass
            _wrap_methods(self._module.EngineArgs, self._resolve_config)
        return made


def _patch_classes(resolve_config: ResolveConfig) -> None:
    from vllm.engine.arg_utils import AsyncEngineArgs, EngineArgs

    if USE_SIMULATOR in EngineArgs.__dataclass_fields__:
        return
    _declare_fields(EngineArgs)
    for cls in (EngineArgs, AsyncEngineArgs):
        _process_again(cls)
    _wrap_methods(EngineArgs, resolve_config)


def _process_again(cls: Any) -> None:
    """Make a finished dataclass once more, with the fields that it has gained."""
    for made in ("__init__", "__repr__", "__eq__", "__match_args__"):
        delattr(cls, made)  # dataclass() keeps what it finds, its own work included
    for name in vars(cls)["__annotations__"]:
        field = cls.__dataclass_fields__.get(name)
        if field is not None and field.default_factory is not dataclasses.MISSING:
            setattr(cls, name, dataclasses.field(default_factory=field.default_factory))
    dataclasses.dataclass(cls)


def _declare_fields(cls: Any) -> None:
    """Fields without a value mean "not given": the environment decides, then the default."""
    cls.__annotations__[USE_SIMULATOR] = bool | None
    setattr(cls, USE_SIMULATOR, None)
    for setting in settings_table():
        cls.__annotations__[setting.argument] = setting.type | None
        setattr(cls, setting.argument, None)


def _wrap_methods(cls: Any, resolve_config: ResolveConfig) -> None:
    def create_engine_config(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        return resolve_config(instance, lambda: wrapped(*args, **kwargs))

    cls.add_cli_args = staticmethod(_add_cli_args(cls.add_cli_args))
    cls.create_engine_config = wrapt.FunctionWrapper(cls.create_engine_config, create_engine_config)


def _add_cli_args(wrapped: Any) -> Any:
    def add_cli_args(parser: Any) -> Any:
        parser = wrapped(parser)
        group = parser.add_argument_group(
            title="Simulator",
            description="Serve recorded answers, paced like a chosen GPU, without one. "
            f"Each flag is also an engine argument and an environment variable "
            f"({USE_SIMULATOR_ENV}, VLLM_SIM_TRACE_PATH, …); a flag wins.",
        )
        group.add_argument(
            USE_SIMULATOR_FLAG,
            action=argparse.BooleanOptionalAction,
            default=None,
            help=USE_SIMULATOR_HELP,
        )
        for setting in settings_table():
            if setting.type is bool:
                options: dict[str, Any] = {"action": argparse.BooleanOptionalAction}
            else:
                options = {
                    "type": setting.type,
                    "metavar": setting.metavar,
                    "choices": setting.choices,
                }
            group.add_argument(
                setting.flag, dest=setting.argument, default=None, help=setting.help, **options
            )
        return parser

    return add_cli_args


HOOK = Hook(
    target=f"{MODULE}:EngineArgs",
    what="adds the fields and flags of the simulator, and switches the platform around "
    "`create_engine_config`",
    why="plugins may add flags to a parser, but `from_cli_args` and `LLM(**kwargs)` pass "
    "fields of the dataclass only",
    until="upstream lets a plugin contribute engine arguments",
)
