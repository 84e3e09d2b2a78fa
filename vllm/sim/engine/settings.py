"""How settings travel: in ``VllmConfig.additional_config``, so they reach every process."""

from __future__ import annotations

from typing import Any

from vllm.config import VllmConfig

from ..config import SimSettings

KEY = "sim"


def with_settings(additional_config: dict[str, Any], settings: SimSettings) -> dict[str, Any]:
    """A copy of ``additional_config`` that carries the settings."""
    return {**additional_config, KEY: settings.to_dict()}


def settings_of(config: VllmConfig) -> SimSettings | None:
    """The settings of a simulated engine, or None for a real one."""
    additional_config = config.additional_config
    if not isinstance(additional_config, dict) or KEY not in additional_config:
        return None
    return SimSettings.from_dict(additional_config[KEY])
