"""``--sim-latency`` as text, to the model that it names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..devices.device import Device
from ..errors import LatencyError
from .aiconfigurator import build_aiconfigurator
from .constant import build_constant
from .fitted import load_fitted
from .model import Instant, LatencyModel
from .recorded import Recorded
from .roofline import build_roofline
from .shape import ModelShape

CHOICES = (
    "instant, constant:ttft=…,itl=…, recorded, roofline, aiconfigurator, "
    "or a file made by vllm sim calibrate"
)


def build_latency_model(
    spec: str | None, device: Device, shape: Callable[[], ModelShape], named_device: bool
) -> LatencyModel:
    """The latency model of a run.

    Args:
        spec: What ``--sim-latency`` says; None when it was not given.
        device: The simulated device.
        shape: Gives the model, and how it is cut; called by the models that need it.
        named_device: Whether the user chose the device. Without a choice there is nothing to
            derive a speed from, and steps take no time.

    Raises:
        LatencyError: No such model, or its parameters are wrong.
    """
    if spec is None:
        spec = "roofline" if named_device else "instant"
    name, _, text = spec.partition(":")
    if name == "instant" or name == "recorded":
        if text:
            raise LatencyError(f"--sim-latency {name} takes no parameters, got {text!r}")
        return Instant() if name == "instant" else Recorded()
    if name == "constant":
        return build_constant(text)
    if name == "roofline":
        return build_roofline(text, device, shape())
    if name == "aiconfigurator":
        return build_aiconfigurator(text, device, shape())
    if spec.endswith(".json") or Path(spec).is_file():
        return load_fitted(spec)
    raise LatencyError(f"--sim-latency {spec!r} is unknown: give one of {CHOICES}")
