"""Switching a process to the simulated device, and back."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vllm import envs, platforms
from vllm.config import VllmConfig

from ..config import (
    RECORD_ENV,
    USE_SIMULATOR_ENV,
    USE_SIMULATOR_FLAG,
    SimSettings,
    resolve_settings,
    settings_table,
    simulator_wanted,
)
from ..devices.device import Device
from ..devices.load import known_devices, load_device
from ..errors import DeviceError, SettingsError
from ..hooks import engine_core, input_processor, online_renderer, renderer
from ..trace.read import check_trace
from ..trace.schema import TraceHeader
from . import matching, platform
from .settings import with_settings
from .support import refuse_unsupported
from .surface import check_surface

logger = logging.getLogger("vllm.sim")

DEFAULT_DEVICE = "h100_sxm"


def resolve_config(engine_args: Any, upstream: Callable[[], VllmConfig]) -> VllmConfig:
    """Resolve an engine's configuration: on the simulated device where one was asked for.

    Args:
        engine_args: An ``EngineArgs``, with the simulator's fields.
        upstream: Its own ``create_engine_config``.

    Raises:
        SettingsError: The simulator's arguments contradict each other.
        TraceError: The trace is broken; found here, before any process is started.
        DeviceError: The device is unknown.
    """
    settings_list = list(settings_table())
    given = {setting.argument: getattr(engine_args, setting.argument) for setting in settings_list}
    for variable in (USE_SIMULATOR_ENV, *(setting.variable for setting in settings_list)):
        # vLLM warns of variables that it does not know, and can be told to refuse them.
        envs.environment_variables.setdefault(variable, lambda name=variable: os.getenv(name))
    if engine_args.sim_record is not None:
        # A real engine can be recorded, too: its process learns of it from the environment.
        os.environ[RECORD_ENV] = str(Path(engine_args.sim_record).absolute())
    if not simulator_wanted(engine_args.use_simulator):
        used = [
            setting.flag
            for setting in settings_list
            if given[setting.argument] is not None and setting.field != "record"
        ]
        if used:
            raise SettingsError(f"{', '.join(used)} needs {USE_SIMULATOR_FLAG}")
        platform.deactivate()
        return upstream()
    check_surface()
    settings = resolve_settings(given)
    header = None
    if settings.trace_path is not None:
        rows, header = check_trace(settings.trace_path)
        logger.info("%s: %d rows", settings.trace_path, rows)
    platform.activate(device_of(settings))
    install_front_end_hooks()
    engine_args.additional_config = with_settings(engine_args.additional_config, settings)
    config = upstream()
    refuse_unsupported(config)
    if header is not None:
        take_block_count(config, header)
    # A request that brings its own tokens is served as they say; upstream asks for a
    # flag because the GPU's sampler has to be made ready for it.
    config.model_config.enable_trace_replay = True
    return config


def take_block_count(config: VllmConfig, header: TraceHeader) -> None:
    """Give the engine the KV cache that its trace was recorded on, unless it was told a size."""
    cache = config.cache_config
    if header.num_gpu_blocks is None or cache.num_gpu_blocks_override is not None:
        return
    blocks = header.num_gpu_blocks
    if header.block_size is not None:  # the same tokens, in blocks of this engine
        blocks = blocks * header.block_size // cache.block_size
    logger.info("the trace was recorded on %d KV blocks: simulating as many", blocks)
    cache.num_gpu_blocks_override = blocks


def device_of(settings: SimSettings) -> Device:
    """The device to simulate: the one asked for, else this machine's, else an H100."""
    if settings.device is not None:
        return load_device(settings.device)
    current = platforms.current_platform
    if current.is_cuda():
        name = current.get_device_name()
        for known in map(load_device, known_devices()):
            if known.device_name == name:
                return known
        raise DeviceError(
            f"this machine's {name} is not among the known devices: name one with --sim-device"
        )
    logger.info("no --sim-device given: simulating %s", DEFAULT_DEVICE)
    return load_device(DEFAULT_DEVICE)


def install_front_end_hooks() -> None:
    """What a process needs that takes requests of a simulated engine."""
    renderer.install(matching.load_matcher)
    online_renderer.install(matching.check)
    input_processor.install(matching.attach)


def install_engine_hooks() -> None:
    """What a process needs that runs a simulated engine."""
    from .executor import watch_scheduler

    engine_core.install(watch_scheduler)
