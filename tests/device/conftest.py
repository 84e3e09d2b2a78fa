"""Model folders and configurations for tests of the simulated device."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

if importlib.util.find_spec("vllm.sim") is None:
    # Not installed: take the package of this checkout.
    import vllm

    vllm.__path__.append(str(Path(__file__).parents[2] / "vllm"))

from support.paths import shared_data

from vllm.sim.devices.load import load_device
from vllm.sim.engine import platform


@pytest.fixture
def folder_of(tmp_path: Path) -> Callable[[dict[str, Any]], str]:
    """A model folder that holds a config.json and nothing else."""

    def make(config: dict[str, Any]) -> str:
        folder = tmp_path / f"model{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(config))
        return str(folder)

    return make


@pytest.fixture
def real_config() -> Callable[[str], dict[str, Any]]:
    """The config.json of a published model, by its name; skips where there are none."""

    def read(name: str) -> dict[str, Any]:
        return json.loads(shared_data("model_configs", f"{name}_config.json").read_text())

    return read


@pytest.fixture
def simulate() -> Iterator[Callable[[str], None]]:
    """Switch to a device; the test's end switches back."""

    def switch(device: str) -> None:
        platform.activate(load_device(device))

    yield switch
    platform.deactivate()
