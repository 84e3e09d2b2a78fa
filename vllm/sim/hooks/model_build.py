"""What the building of a model's class on the meta device needs, and must not leave behind."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from vllm.model_executor.layers import rotary_embedding
from vllm.model_executor.layers.fused_moe.expert_map_manager import ExpertMapManager
from vllm.utils import torch_utils

from ..errors import UpstreamMovedError
from .hook import Hook


class _Idle:
    """In place of CUDA streams and events, which layers make and only a forward pass uses."""

    def __init__(self, *args: object, **kwargs: object) -> None: ...


def _no_expert_map(self: ExpertMapManager) -> str:
    return "not known on the meta device"


# (owner, name, what stands there during a build)
_DURING_BUILD: tuple[tuple[Any, str, Any], ...] = (
    (torch.cuda, "Stream", _Idle),
    (torch.cuda, "Event", _Idle),
    (torch_utils, "_aux_stream", None),  # kept for the life of a process
    (rotary_embedding, "_ROPE_DICT", {}),  # kept by shape: a real model must not get ours
    (ExpertMapManager, "get_compressed_map_string", _no_expert_map),  # reads values, for a log
)


@contextmanager
def globals_kept() -> Iterator[None]:
    """Put back what a build needs otherwise, or leaves, in modules of torch and vLLM.

    Raises:
        UpstreamMovedError: A module no longer has the name that is set.
    """
    before = []
    for owner, name, value in _DURING_BUILD:
        if name not in vars(owner):
            raise UpstreamMovedError(
                f"{owner.__name__} has no {name} any more: adapt vllm/sim/hooks/model_build.py"
            )
        before.append((owner, name, vars(owner)[name]))
        setattr(owner, name, copy.copy(value))
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


HOOK = Hook(
    target="torch.cuda:Stream, Event; vllm.utils.torch_utils:_aux_stream; "
    "vllm.model_executor.layers.rotary_embedding:_ROPE_DICT; "
    "ExpertMapManager.get_compressed_map_string",
    what="other values during the build of a model's class on the meta device, for a fraction "
    "of a second",
    why="layers make streams and read values that the meta device does not have, and keep "
    "what they made for models that come after",
    until="models can be built on the meta device as they are",
)
