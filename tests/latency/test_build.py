"""What --sim-latency may say."""

from __future__ import annotations

from pathlib import Path

import pytest
from latency_batches import DENSE

from vllm.sim.devices.load import load_device
from vllm.sim.errors import LatencyError
from vllm.sim.latency.build import build_latency_model
from vllm.sim.latency.constant import Constant, ConstantStep
from vllm.sim.latency.domain import FEATURES, Domain
from vllm.sim.latency.fitted import FittedModel
from vllm.sim.latency.hf_config import shape_from_hf_config
from vllm.sim.latency.model import Instant, LatencyModel
from vllm.sim.latency.recorded import Recorded
from vllm.sim.latency.roofline import Roofline
from vllm.sim.latency.shape import ModelShape

DEVICE = load_device("h100_sxm")
SHAPE = shape_from_hf_config(DENSE)


def build(spec: str | None, named_device: bool = True) -> LatencyModel:
    return build_latency_model(spec, DEVICE, lambda: SHAPE, named_device)


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("instant", Instant),
        ("recorded", Recorded),
        ("constant:ttft=0.2,itl=20ms", Constant),
        ("constant:step=20ms", ConstantStep),
        ("roofline", Roofline),
        ("roofline:host_us=0", Roofline),
        (None, Roofline),
    ],
)
def test_names(spec: str | None, kind: type) -> None:
    model = build(spec)
    assert isinstance(model, kind)
    assert "\n" not in model.describe()


def test_no_speed_without_a_named_device() -> None:
    assert isinstance(build(None, named_device=False), Instant)


def test_a_file(tmp_path: Path) -> None:
    domain = Domain({"decode": dict.fromkeys(FEATURES, (0, 1))})
    for name in ("fitted.json", "fitted"):
        FittedModel({"step": 1.0}, domain).save(tmp_path / name)
        assert isinstance(build(str(tmp_path / name)), FittedModel)


@pytest.mark.parametrize("spec", ["instant", "recorded", "constant:step=1"])
def test_models_that_need_no_shape_do_not_ask_for_one(spec: str) -> None:
    def refuse() -> ModelShape:
        raise LatencyError("a model that no formula knows")

    build_latency_model(spec, DEVICE, refuse, named_device=True)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("fast", "--sim-latency 'fast' is unknown: give one of instant, constant:ttft=…,itl=…"),
        ("", "--sim-latency '' is unknown"),
        ("instant:3", "--sim-latency instant takes no parameters, got '3'"),
        ("recorded:ttft=1", "--sim-latency recorded takes no parameters"),
        ("constant", "give step=…, or ttft=… and itl=…"),
        ("absent.json", "absent.json: cannot be read: No such file or directory"),
    ],
)
def test_wrong(spec: str, message: str) -> None:
    with pytest.raises(LatencyError) as caught:
        build(spec)
    assert message in str(caught.value)
