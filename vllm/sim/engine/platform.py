"""The platform: configuration resolves as it would on the simulated device.

vLLM's modules hold ``current_platform`` as an instance, and look nearly all else up
on its class. Assigning another class to that instance therefore switches every
module at once, at any time after import, and assigning the old one switches back:

    activate(device)      # current_platform.__class__ = SimPlatform
    deactivate()          # and back to what it was

:class:`SimPlatform` inherits from upstream's CUDA platform, so that defaults,
attention backend priorities and capability rules are upstream's own code, and
overrides what would touch a driver. :class:`SimCpuPlatform` does the same over the
CPU platform, for the device named ``cpu``. Neither needs the device.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import torch
from vllm import platforms
from vllm.logger import init_logger
from vllm.platforms.cpu import CpuPlatform
from vllm.platforms.interface import DeviceCapability, Platform, PlatformEnum

from ..errors import DeviceError, UpstreamMovedError
from ..hooks import gpu_kernels, triton

if TYPE_CHECKING:
    from vllm.config import VllmConfig
    from vllm.platforms.cuda import CudaPlatformBase
    from vllm.v1.attention.backends.mla.prefill.base import MLAPrefillBackend
    from vllm.v1.attention.backends.mla.prefill.selector import MLAPrefillSelectorConfig
    from vllm.v1.attention.backends.registry import AttentionBackendEnum
    from vllm.v1.attention.selector import AttentionSelectorConfig

logger = init_logger(__name__)

EXECUTOR = "vllm.sim.engine.executor.SimExecutor"

# The executors that run workers; any other value is a class that someone asked for.
_WORKER_EXECUTORS = (None, "uni", "mp", "ray", "external_launcher")


class DeviceFacts(Protocol):
    """What the platform reads of a simulated device."""

    @property
    def name(self) -> str: ...  # "h100_sxm"; "cpu" is the stock CPU platform
    @property
    def device_name(self) -> str: ...  # as the driver reports it: "NVIDIA H100 80GB HBM3"
    @property
    def memory_bytes(self) -> int: ...
    @property
    def compute_capability(self) -> tuple[int, int] | None: ...  # None: not a GPU
    @property
    def multiprocessors(self) -> int | None: ...


def _import_cuda_platform() -> Any:
    """``vllm.platforms.cuda``, without CUDA kernels where this build has none.

    The module imports the CUDA extension for the operators that it registers, and
    needs nothing of it. A build for CPUs has no such extension: an empty module
    stands in for it during the import only.
    """
    kernels = "vllm._C_stable_libtorch"
    try:
        importlib.import_module(kernels)
    except ImportError:
        sys.modules[kernels] = types.ModuleType(kernels)
        try:
            return importlib.import_module("vllm.platforms.cuda")
        finally:
            del sys.modules[kernels]
    return importlib.import_module("vllm.platforms.cuda")


_cuda = _import_cuda_platform()

if not TYPE_CHECKING:
    try:
        CudaPlatformBase = _cuda.CudaPlatformBase
    except AttributeError as missing:
        raise UpstreamMovedError(
            f"vllm.platforms.cuda has no {missing.name!r}: adapt vllm/sim/engine/platform.py"
        ) from missing


@contextmanager
def identity(of: PlatformEnum) -> Iterator[None]:
    """Inside the block ``current_platform.is_cuda()`` and the like answer for `of`."""
    attributes = vars(platforms.current_platform)
    before = dict(attributes)
    attributes["_enum"] = of
    try:
        yield
    finally:
        attributes.clear()
        attributes.update(before)


def use_sim_executor(vllm_config: VllmConfig) -> None:
    """Put our executor where a worker executor would stand; keep a class given by the user."""
    parallel_config = vllm_config.parallel_config
    if parallel_config.distributed_executor_backend in _WORKER_EXECUTORS:
        parallel_config.distributed_executor_backend = EXECUTOR


class SimPlatform(CudaPlatformBase):
    """An NVIDIA GPU that is not there."""

    # Out of tree: `is_cuda()` would lead vLLM to load CUDA libraries.
    _enum = PlatformEnum.OOT
    device_type = "cpu"
    dispatch_key = "CPU"
    dist_backend = "gloo"
    ray_device_key = ""
    # Simulated devices are not numbered by the driver's variable.
    device_control_env_var = Platform.device_control_env_var

    device: ClassVar[DeviceFacts]
    host: ClassVar[type[Platform]]  # the platform of this machine

    @classmethod
    def get_device_name(cls, device_id: int = 0) -> str:
        return cls.device.device_name

    @classmethod
    def get_device_uuid(cls, device_id: int = 0) -> str:
        return f"SIM-{cls.device.name}-{device_id}"

    @classmethod
    def get_device_total_memory(cls, device_id: int = 0) -> int:
        return cls.device.memory_bytes

    @classmethod
    def get_device_capability(cls, device_id: int = 0) -> DeviceCapability:
        assert cls.device.compute_capability is not None  # activate() saw to it
        return DeviceCapability(*cls.device.compute_capability)

    @classmethod
    def num_compute_units(cls, device_id: int = 0) -> int:
        if cls.device.multiprocessors is None:
            raise DeviceError(f"device {cls.device.name} does not say its multiprocessors")
        return cls.device.multiprocessors

    @classmethod
    def device_count(cls) -> int:
        """As many as anyone asks for: vLLM compares it with the world size."""
        return 1 << 16

    @classmethod
    def is_fully_connected(cls, device_ids: list[int]) -> bool:
        return True

    @classmethod
    def is_integrated_gpu(cls, device_id: int = 0) -> bool:
        return False

    @classmethod
    def is_arch_support_pdl(cls) -> bool:
        return cls.has_device_capability(90)

    @classmethod
    def is_pin_memory_available(cls) -> bool:
        return False

    def is_sleep_mode_available(self) -> bool:
        return True

    def is_cumem_allocator_available(self) -> bool:
        return True

    @classmethod
    def set_device(cls, device: torch.device) -> None:
        """Nothing to set."""

    @classmethod
    def manual_seed_all(cls, seed: int) -> None:
        """Nothing to seed."""

    @classmethod
    def get_current_memory_usage(cls, device: torch.types.Device | None = None) -> float:
        return 0.0

    @classmethod
    def import_kernels(cls) -> None:
        """The machine's own: a module imported now stays after the switch back."""
        cls.host.import_kernels()

    @classmethod
    def get_device_communicator_cls(cls) -> str:
        return Platform.get_device_communicator_cls()

    @classmethod
    def check_and_update_config(cls, vllm_config: VllmConfig) -> None:
        super().check_and_update_config(vllm_config)
        if vllm_config.model_config is not None:
            # Upstream asks when a worker starts.
            cls.check_if_supports_dtype(vllm_config.model_config.dtype)
        use_sim_executor(vllm_config)

    @classmethod
    def get_attn_backend_cls(
        cls,
        selected_backend: AttentionBackendEnum | None,
        attn_selector_config: AttentionSelectorConfig,
        num_heads: int | None = None,
    ) -> str:
        """Upstream's choice. Backends ask the platform whether it is CUDA: here it is."""
        with identity(PlatformEnum.CUDA):
            return super().get_attn_backend_cls(selected_backend, attn_selector_config, num_heads)

    @classmethod
    def get_valid_backends(
        cls,
        device_capability: DeviceCapability,
        attn_selector_config: AttentionSelectorConfig,
        num_heads: int | None = None,
    ) -> tuple[list[Any], dict[AttentionBackendEnum, tuple[int, list[str]]]]:
        """Upstream's walk of its priority list, where more can fail than on a GPU machine."""
        valid: list[Any] = []
        invalid: dict[AttentionBackendEnum, tuple[int, list[str]]] = {}
        priorities = _cuda._get_backend_priorities(
            use_mla=attn_selector_config.use_mla,
            device_capability=device_capability,
            num_heads=num_heads,
            kv_cache_dtype=attn_selector_config.kv_cache_dtype,
            use_non_causal=attn_selector_config.use_non_causal,
            head_size=attn_selector_config.head_size,
            use_mm_prefix=attn_selector_config.use_mm_prefix,
        )
        for priority, backend in enumerate(priorities):
            try:
                backend_class = gpu_kernels.load(backend)
                objections = backend_class.validate_configuration(
                    device_capability=device_capability, **attn_selector_config._asdict()
                )
            except (ImportError, OSError, AssertionError, RuntimeError) as error:
                # Assertion and runtime errors: torch, when asked for CUDA without it.
                objections = [f"{type(error).__name__}: {error}"]
            if objections:
                invalid[backend] = (priority, objections)
            else:
                valid.append(_cuda._BackendCandidate(backend_class, backend, priority))
        return valid, invalid

    @classmethod
    def get_mla_prefill_backend_cls(
        cls, mla_selector_config: MLAPrefillSelectorConfig
    ) -> type[MLAPrefillBackend]:
        """Any: the prefill kernel has no part in the KV cache's shape."""
        return CpuPlatform.get_mla_prefill_backend_cls(mla_selector_config)


class SimCpuPlatform(CpuPlatform):
    """The CPU platform as it is, with our executor: for comparisons with real CPU runs."""

    device: ClassVar[DeviceFacts]
    host: ClassVar[type[Platform]]

    @classmethod
    def get_device_name(cls, device_id: int = 0) -> str:
        return cls.device.device_name

    @classmethod
    def get_device_total_memory(cls, device_id: int = 0) -> int:
        return cls.device.memory_bytes

    @classmethod
    def check_and_update_config(cls, vllm_config: VllmConfig) -> None:
        super().check_and_update_config(vllm_config)
        use_sim_executor(vllm_config)


def _check_overrides(ours: type[Platform]) -> None:
    """Every public name of ours must be upstream's.

    vLLM's ``Platform`` answers None for a name that it does not know, so an override
    that upstream renamed would be passed over in silence.
    """
    own_names = {"device", "host"}
    for name in vars(ours):
        if name.startswith(("__", "_abc")) or name in own_names:
            continue
        if not any(
            name in vars(base) or name in inspect.get_annotations(base)
            for base in ours.__mro__[1:-1]
        ):
            raise UpstreamMovedError(
                f"vLLM's platforms have no {name!r} any more, which {ours.__name__} overrides: "
                "adapt vllm/sim/engine/platform.py"
            )


_check_overrides(SimPlatform)
_check_overrides(SimCpuPlatform)


# Functions that remember what a platform answered, by module.
_PLATFORM_CACHES = {
    "vllm.v1.attention.selector": ("_cached_get_attn_backend",),
    "vllm.v1.attention.backends.mla.prefill.selector": ("_auto_select_mla_prefill_backend",),
    "vllm.utils.platform_utils": (
        "is_pin_memory_available",
        "is_uva_available",
        "num_compute_units",
        "get_device_name_as_file_name",
    ),
    "vllm.utils.flashinfer": ("supports_trtllm_attention",),
}

_host: type[Platform] | None = None  # what current_platform was; None while it is itself
_host_has_triton = False


def activate(device: DeviceFacts) -> None:
    """Make vLLM see `device`. Again with another device: switches to that one.

    Raises:
        DeviceError: The device is neither the CPU nor has a compute capability.
    """
    global _host, _host_has_triton
    simulated: type[SimPlatform] | type[SimCpuPlatform]
    if device.name == "cpu":
        simulated = SimCpuPlatform
    elif device.compute_capability is not None:
        simulated = SimPlatform
    else:
        raise DeviceError(
            f"device {device.name} has no compute_capability: give one, or name the device cpu"
        )
    platform = platforms.current_platform
    if _host is None:
        _host = type(platform)
        _host_has_triton = triton.has_triton()
    simulated.device = device
    simulated.host = _host
    _switch(simulated)
    if simulated is SimPlatform:
        gpu_kernels.assume_present()
        triton.set_has_triton(True)
    else:
        gpu_kernels.restore()
        triton.set_has_triton(_host_has_triton)


def deactivate() -> None:
    """Make vLLM see this machine again. Without effect when it does already."""
    global _host
    if _host is None:
        return
    _switch(_host)
    gpu_kernels.restore()
    triton.set_has_triton(_host_has_triton)
    _host = None


def active_device() -> DeviceFacts | None:
    """The device that vLLM sees, or None when that is this machine."""
    platform = type(platforms.current_platform)
    if issubclass(platform, SimPlatform | SimCpuPlatform):
        return platform.device
    return None


def _switch(to: type[Platform]) -> None:
    platform = platforms.current_platform
    # An executor that shuts down leaves a mark on the instance, so that vLLM's cleanup
    # takes the CPU's path.
    vars(platform).pop("_enum", None)
    platform.__class__ = to
    for module_name, functions in _PLATFORM_CACHES.items():
        if module_name not in sys.modules:
            continue
        for function in functions:
            try:
                vars(sys.modules[module_name])[function].cache_clear()
            except (KeyError, AttributeError) as missing:
                raise UpstreamMovedError(
                    f"{module_name}.{function} is no cached function any more: "
                    "adapt vllm/sim/engine/platform.py"
                ) from missing
