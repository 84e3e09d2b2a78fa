"""The examples of docs/latency.md work."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from latency_batches import DENSE

from vllm.sim.devices.load import known_devices, load_device
from vllm.sim.errors import LatencyError
from vllm.sim.latency.build import build_latency_model
from vllm.sim.latency.fitted import load_fitted
from vllm.sim.latency.hf_config import shape_from_hf_config
from vllm.sim.latency.terms import TERMS

TEXT = (Path(__file__).parents[2] / "docs" / "latency.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
SPECS = re.findall(r"--sim-latency (\S+)", "".join(body for _, body in BLOCKS))


def block(kind: str) -> str:
    (body,) = (body for name, body in BLOCKS if name == kind)
    return body


@pytest.mark.parametrize("spec", [spec for spec in SPECS if not spec.endswith(".json")])
def test_every_example_of_the_flag_builds(spec: str) -> None:
    has_library = importlib.util.find_spec("aiconfigurator_core") is not None
    if spec.startswith("aiconfigurator") and not has_library:
        with pytest.raises(LatencyError, match="pip install"):
            build_latency_model(
                spec, load_device("h100_sxm"), lambda: shape_from_hf_config(DENSE), True
            )
        return
    build_latency_model(spec, load_device("h100_sxm"), lambda: shape_from_hf_config(DENSE), True)


def test_the_fitted_file_loads(tmp_path: Path) -> None:
    (tmp_path / "fitted.json").write_text(block("json"))
    assert load_fitted(tmp_path / "fitted.json").coefficients_us["step"] == 15045.7


def test_the_device_file_loads(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(block("yaml"))
    mine = load_device(tmp_path / "mine.yaml")
    assert (mine.bf16_flops, mine.interconnect) == (989.4e12, "nvlink")


@pytest.mark.parametrize("name", [*TERMS, *known_devices()])
def test_every_term_and_device_is_named(name: str) -> None:
    assert name in TEXT
