"""The time a step takes on the host: scheduler, input tensors, sampling, output."""

from __future__ import annotations

from dataclasses import dataclass

from .parameters import Parameters

HOST_KEYS = ("host_us", "request_us")


@dataclass(frozen=True)
class HostTime:
    """Host time that the device does not hide.

    It depends on the CPU, on vLLM's version and on async scheduling, and no table has it.
    Measured steps less the kernels in them leave -0.5 to 0.5 ms on H100 (vLLM 0.15.1, no
    trend with the number of requests); a whole run on RTX PRO 6000 (vLLM 0.19) asks for 1
    to 2 ms. The default is of the first kind; fit it where a measured run is at hand.
    """

    step_us: float = 200.0
    request_us: float = 0.0

    def describe(self) -> str:
        return f"host {self.step_us:g} us a step and {self.request_us:g} us a request"


def read_host(given: Parameters) -> HostTime:
    """``host_us`` and ``request_us``, in microseconds."""
    return HostTime(
        given.non_negative("host_us", HostTime.step_us),
        given.non_negative("request_us", HostTime.request_us),
    )
