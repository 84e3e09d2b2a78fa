"""What the ranks of one model wait for each other."""

from __future__ import annotations

from dataclasses import dataclass

from ..devices.device import Device
from ..errors import LatencyError
from .parameters import Parameters
from .shape import ModelShape

COMMUNICATION_KEYS = ("allreduce_us", "allreduce_gbps")

# The least time of an all-reduce. NVLink: vLLM's one-shot kernel, 4.5 us in the H100 tables of
# aiconfigurator at TP 2, a little more with more ranks. PCIe has no such kernel: NCCL's ring.
_LEAST_US = {"nvlink": 6.0, "pcie": 30.0}
# Of the link's rate: 67 MB over two H100 take 307 us in the same tables, 219 of 450 GB/s. PCIe
# goes through the host's memory unless the devices are peers.
_LINK_SHARE = {"nvlink": 0.5, "pcie": 0.4}


@dataclass(frozen=True)
class AllReduce:
    """An all-reduce takes the greater of a least time and its bytes over a rate."""

    least_us: float
    bytes_per_us: float  # that a rank sends, in one direction

    def us(self, size: float, ranks: int) -> float:
        """For ``size`` bytes on each of ``ranks``: a ring sends 2 (ranks - 1) / ranks of it."""
        return self.least_us + 2 * (ranks - 1) / ranks * size / self.bytes_per_us

    def send_us(self, size: float) -> float:
        """For ``size`` bytes from one rank to another."""
        return self.least_us + size / self.bytes_per_us


def read_all_reduce(given: Parameters, device: Device) -> AllReduce:
    """``allreduce_us`` and ``allreduce_gbps`` (GB/s), else what the device's links give."""
    link = device.interconnect or "pcie"
    rate = (device.interconnect_bandwidth or 32e9) * _LINK_SHARE[link]
    least_us = given.non_negative("allreduce_us", _LEAST_US[link])
    gbps = given.number("allreduce_gbps", rate / 1e9, above=0)
    return AllReduce(least_us, gbps * 1e3)


def check_layout(device: Device, shape: ModelShape) -> None:
    """Refuse ranks that cannot reach each other.

    Raises:
        LatencyError: More than one rank on a device without an interconnect.
    """
    if shape.tp * shape.pp > 1 and device.interconnect is None:
        raise LatencyError(
            f"device {device.name} has no interconnect, so tp {shape.tp}, pp {shape.pp} cannot be "
            "timed: give interconnect and interconnect_bandwidth in a device file"
        )


def communication_us(shape: ModelShape, all_reduce: AllReduce, tokens: int, requests: int) -> float:
    """Microseconds that a step of so many tokens and requests spends between ranks."""
    total_us = 0.0
    hidden_bytes = tokens * shape.hidden * shape.activation_bytes
    if shape.tp > 1:
        # After attention and after the feed-forward of each layer, and after the embedding.
        total_us += (2 * shape.layers + 1) * all_reduce.us(hidden_bytes, shape.tp)
        # Gathering the logits moves half of what reducing them would.
        logits_bytes = requests * shape.vocab * shape.activation_bytes
        total_us += all_reduce.us(logits_bytes / 2, shape.tp)
    # To the next stage go the hidden state and the residual.
    return total_us + (shape.pp - 1) * all_reduce.send_us(2 * hidden_bytes)
