"""Kernel libraries that vLLM finds on a GPU machine, as far as choosing among them goes.

Which attention backend vLLM takes, and with it the block size, depends on libraries
that a GPU installation brings and this machine may lack: FlashAttention and
FlashInfer. While a GPU is simulated, vLLM's own checks find them present. Nothing of them
is ever called: the model does not run.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ..errors import UpstreamMovedError
from .hook import Hook

if TYPE_CHECKING:
    from vllm.v1.attention.backend import AttentionBackend
    from vllm.v1.attention.backends.registry import AttentionBackendEnum

_FLASH_ATTENTION = "vllm.vllm_flash_attn.flash_attn_interface"


def _reachable() -> bool:
    """In place of a request to NVIDIA's server, where FlashInfer's kernels come from."""
    return True


# (module, name, value on a GPU machine). Which FlashAttention version a capability
# can use is upstream's own rule.
_PRESENT: tuple[tuple[str, str, Any], ...] = (
    (_FLASH_ATTENTION, "FA2_AVAILABLE", True),
    (_FLASH_ATTENTION, "FA3_AVAILABLE", True),
    (_FLASH_ATTENTION, "FA4_AVAILABLE", True),
    ("vllm.utils.flashinfer", "has_nvidia_artifactory", _reachable),
)

# Names that upstream binds on CUDA only, and that its CUDA paths then read: (where from,
# where to, names).
_FA_UTILS = "vllm.v1.attention.backends.fa_utils"
_CUDA_NAMES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        _FLASH_ATTENTION,
        _FA_UTILS,
        (
            "compile_flash_attn_varlen_func_from_specs",
            "flash_attn_varlen_func",
            "get_scheduler_metadata",
        ),
    ),
    ("vllm._custom_ops", _FA_UTILS, ("reshape_and_cache_flash",)),
    (
        _FA_UTILS,
        "vllm.v1.attention.backends.flash_attn",
        (
            "compile_flash_attn_varlen_func_from_specs",
            "flash_attn_supports_sinks",
            "flash_attn_varlen_func",
            "get_scheduler_metadata",
            "reshape_and_cache_flash",
        ),
    ),
)

_before: dict[tuple[str, str], Any] = {}


def assume_present() -> None:
    """Let vLLM find the libraries of a GPU machine. Again: without effect.

    Raises:
        UpstreamMovedError: A module no longer has the name that is set.
    """
    for module_name, name, value in _PRESENT:
        namespace = _namespace(module_name)
        if name not in namespace:
            raise UpstreamMovedError(
                f"{module_name} has no {name} any more: adapt vllm/sim/hooks/gpu_kernels.py"
            )
        _before.setdefault((module_name, name), namespace[name])
        namespace[name] = value


def _namespace(module_name: str) -> dict[str, Any]:
    # Without its kernels FlashAttention's package refuses to be imported, after it has
    # loaded the module that is asked here.
    with suppress(ImportError):
        importlib.import_module(module_name)
    return vars(sys.modules[module_name])


def restore() -> None:
    """Undo :func:`assume_present`."""
    for (module_name, name), value in _before.items():
        vars(sys.modules[module_name])[name] = value
    _before.clear()


def load(backend: AttentionBackendEnum) -> type[AttentionBackend]:
    """The backend's class, to be asked what it supports.

    Raises:
        ImportError: It needs a library that is not stood in for.
    """
    importlib.import_module(_FA_UTILS)
    _bind_cuda_names()
    try:
        backend_class = backend.get_class()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "flashinfer":
            raise
        with _flashinfer_placeholder():
            backend_class = backend.get_class()
    _bind_cuda_names()
    return backend_class


def _bind_cuda_names() -> None:
    """They stay: what reads them asks the platform first."""
    for source, target, names in _CUDA_NAMES:
        if target in sys.modules:
            namespace = vars(sys.modules[target])
            for name in names:
                namespace.setdefault(name, _namespace(source)[name])


class _Placeholder(types.ModuleType):
    """A module in which every name is an empty class, good for `from … import …`."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class _FlashInferFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] != "flashinfer":
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Placeholder(spec.name)  # the import system makes it a package

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing to run."""


@contextmanager
def _flashinfer_placeholder() -> Iterator[None]:
    finder = _FlashInferFinder()
    sys.meta_path.append(finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.partition(".")[0] == "flashinfer"]:
            del sys.modules[name]


HOOK = Hook(
    target=f"{_FLASH_ATTENTION}:FA2_AVAILABLE, FA3_AVAILABLE, FA4_AVAILABLE; "
    f"{_FA_UTILS}:reshape_and_cache_flash, …; vllm.utils.flashinfer:has_nvidia_artifactory",
    what="while the platform is a simulated GPU, FlashAttention and FlashInfer count as present; "
    "nothing of them is called",
    why="which attention backend is chosen, and with it the block size and the cache layout, "
    "depends on libraries that this machine lacks",
    until="backends can be asked what they support without their kernels",
)
