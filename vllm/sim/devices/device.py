"""One device's facts, and where each of them comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Interconnect = Literal["nvlink", "pcie"]


@dataclass(frozen=True)
class Device:
    """What a simulated device can do. Peaks are dense (no sparsity) and never reached in practice.

    ``sources`` says, for each of the other fields, where its value comes from.
    """

    name: str  # as in --sim-device
    device_name: str  # as the driver, and vLLM's platform.get_device_name(), call it
    memory_bytes: int  # as the driver reports it to torch (total_memory): less than on the box
    memory_bandwidth: float  # bytes/s
    bf16_flops: float  # FLOP/s; fp16 is the same on all of these
    fp8_flops: float | None = None  # FLOP/s; None: no such unit
    fp4_flops: float | None = None  # FLOP/s
    compute_capability: tuple[int, int] | None = None  # (major, minor); None: not a CUDA device
    multiprocessors: int | None = None  # streaming multiprocessors
    interconnect: Interconnect | None = None  # between the devices of one host
    interconnect_bandwidth: float | None = None  # bytes/s a device sends, in one direction
    sources: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
