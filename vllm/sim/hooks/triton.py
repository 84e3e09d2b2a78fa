"""A simulated GPU has Triton, whatever this machine has."""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import UpstreamMovedError
from .hook import Hook

MODULE = "vllm.config.vllm"


def has_triton() -> bool:
    """What vLLM's configuration believes."""
    return _module().HAS_TRITON


def set_has_triton(value: bool) -> None:
    """Make it believe something else."""
    _module().HAS_TRITON = value


def _module() -> Any:
    module = importlib.import_module(MODULE)
    if "HAS_TRITON" not in vars(module):
        raise UpstreamMovedError(
            f"{MODULE} has no HAS_TRITON any more: see how VllmConfig.use_v2_model_runner "
            f"decides, and adapt vllm/sim/hooks/triton.py"
        )
    return module


HOOK = Hook(
    target=f"{MODULE}:HAS_TRITON",
    what="is true while the platform is a simulated GPU",
    why="without Triton vLLM falls back to model runner V1, which changes the pipeline-parallel "
    "schedule and which requests are valid",
    until="upstream asks the platform whether it has Triton",
)
