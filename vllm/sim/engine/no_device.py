"""A machine that has nothing this build of vLLM can run on, which the simulator does not need.

vLLM built for CUDA finds no platform on a machine without a GPU, and ends in "Device
string must not be empty". With this platform it can be configured, and simulated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vllm.platforms.cpu import CpuPlatform

from ..config import USE_SIMULATOR_FLAG
from ..errors import DeviceError

if TYPE_CHECKING:  # this is loaded while vLLM's configuration is being imported
    from vllm.config import VllmConfig


class NoDevicePlatform(CpuPlatform):
    """A CPU without vLLM's CPU kernels: it can be looked at, and run nothing."""

    @classmethod
    def check_and_update_config(cls, vllm_config: VllmConfig) -> None:
        raise DeviceError(
            f"this machine has no device that this vLLM runs a model on: simulate one with "
            f"{USE_SIMULATOR_FLAG}, or install a vLLM for this machine"
        )
