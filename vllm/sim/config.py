"""The simulator's settings: one table, from which flags, arguments and environment follow.

Each field of :class:`SimSettings` is reachable as an engine argument
(``LLM(sim_trace_path=…)``), as a flag (``--sim-trace``) and as a variable
(``VLLM_SIM_TRACE_PATH``). What is given in code or as a flag wins over the
environment, which wins over the default.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin, get_type_hints

from .errors import SettingsError

OnMiss = Literal["error", "echo", "synthetic"]

USE_SIMULATOR_FLAG = "--use-simulator"
USE_SIMULATOR_ENV = "VLLM_USE_SIMULATOR"
RECORD_ENV = "VLLM_SIM_RECORD"
USE_SIMULATOR_HELP = (
    "Answer from a trace instead of running the model. No GPU is used and no weights are read."
)


def _setting(
    default: Any, flag: str, metavar: str | None, text: str, variable: str | None = None
) -> Any:
    return field(
        default=default,
        metadata={"flag": flag, "metavar": metavar, "help": text, "variable": variable},
    )


@dataclass(frozen=True)
class SimSettings:
    """What the simulator was asked to do. Travels in ``VllmConfig.additional_config["sim"]``."""

    trace_path: str | None = _setting(
        None, "--sim-trace", "FILE",
        "The trace to answer from: JSON Lines, .jsonl or .jsonl.gz, one request a line.",
    )  # fmt: skip
    on_miss: OnMiss = _setting(
        "error", "--sim-on-miss", None,
        "A prompt that the trace does not hold is refused (error), sent back (echo), or "
        "answered with words drawn from the prompt's hash and --seed (synthetic). "
        "Default: error.",
    )  # fmt: skip
    device: str | None = _setting(
        None, "--sim-device", "NAME|FILE",
        "The device to stand for: its memory, limits and defaults. A name that "
        "`vllm sim devices` lists, or a YAML file. Default: the device that vLLM sees, "
        "else h100_sxm.",
    )  # fmt: skip
    latency: str | None = _setting(
        None, "--sim-latency", "MODEL",
        "How long a step takes: instant, recorded, constant:ttft=…,itl=…, roofline, "
        "aiconfigurator, or a file made by `vllm sim calibrate`. Default: roofline when "
        "--sim-device is given, else instant.",
    )  # fmt: skip
    time_scale: float = _setting(
        1.0,
        "--sim-time-scale",
        "S",
        "Run S times faster than the simulated device would. Default: 1.",
    )
    strict: bool = _setting(
        False, "--sim-strict", None,
        "Make it an error when a step lies outside what the latency model was fitted on.",
    )  # fmt: skip
    step_log: str | None = _setting(
        None, "--sim-step-log", "DIR", "Write steps.jsonl there: one line for each engine step."
    )
    record: str | None = _setting(
        None, "--sim-record", "DIR",
        "Record a run, of a real model too: trace, steps with their durations, requests.",
    )  # fmt: skip
    debug_scheduler: bool = _setting(
        False, "--sim-debug-scheduler", None,
        "Print a readable block of lines for each engine step on stderr.",
        variable="VLLM_DEBUG_SCHEDULER",
    )  # fmt: skip

    def __post_init__(self) -> None:
        if self.on_miss not in get_args(OnMiss):
            raise SettingsError(
                f"--sim-on-miss must be one of {', '.join(get_args(OnMiss))}, got {self.on_miss!r}"
            )
        if not self.time_scale > 0:
            raise SettingsError(f"--sim-time-scale must be above 0, got {self.time_scale}")
        if self.trace_path is None and self.on_miss == "error":
            raise SettingsError(
                "--use-simulator needs a trace to answer from: give --sim-trace FILE, "
                "or --sim-on-miss echo or synthetic to go without"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for ``additional_config``."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SimSettings:
        return cls(**values)


@dataclass(frozen=True)
class Setting:
    """One setting under its three names."""

    field: str  # trace_path
    flag: str  # --sim-trace
    metavar: str | None
    help: str
    type: type  # str, float or bool
    choices: tuple[str, ...] | None
    variable: str  # VLLM_SIM_TRACE_PATH

    @property
    def argument(self) -> str:
        """The engine argument: ``sim_trace_path``."""
        return f"sim_{self.field}"


def settings_table() -> Iterator[Setting]:
    """Every setting, in the order in which help and docs show them."""
    hints = get_type_hints(SimSettings)
    for item in dataclasses.fields(SimSettings):
        hint = hints[item.name]
        literal = get_origin(hint) is Literal
        plain = str if literal or type(None) in get_args(hint) else hint
        yield Setting(
            field=item.name,
            flag=item.metadata["flag"],
            metavar=item.metadata["metavar"],
            help=item.metadata["help"],
            type=plain,
            choices=get_args(hint) if literal else None,
            variable=item.metadata["variable"] or f"VLLM_SIM_{item.name.upper()}",
        )


def resolve_settings(
    given: Mapping[str, Any], environ: Mapping[str, str] = os.environ
) -> SimSettings:
    """Settings from engine arguments, then the environment, then defaults.

    Args:
        given: Engine arguments by name (``sim_trace_path``); None means not given.
        environ: Where the variables are looked up.

    Raises:
        SettingsError: A value is wrong; the message names where it came from.
    """
    values: dict[str, Any] = {}
    for setting in settings_table():
        value = given.get(setting.argument)
        if value is None and setting.variable in environ:
            value = _from_environment(setting, environ[setting.variable])
        if value is not None:
            values[setting.field] = value
    return SimSettings(**values)


def simulator_wanted(given: bool | None, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this engine is simulated: the argument, else ``VLLM_USE_SIMULATOR``."""
    if given is not None:
        return given
    return USE_SIMULATOR_ENV in environ and _truth(USE_SIMULATOR_ENV, environ[USE_SIMULATOR_ENV])


def _from_environment(setting: Setting, text: str) -> Any:
    if setting.type is bool:
        return _truth(setting.variable, text)
    try:
        return setting.type(text)
    except ValueError:
        raise SettingsError(
            f"{setting.variable} must be a {setting.type.__name__}, is {text!r}"
        ) from None


def _truth(name: str, text: str) -> bool:
    truths = {
        "1": True,
        "true": True,
        "yes": True,
        "0": False,
        "false": False,
        "no": False,
        "": False,
    }
    if text.strip().lower() not in truths:
        raise SettingsError(f"{name} must be 1 or 0, is {text!r}")
    return truths[text.strip().lower()]
