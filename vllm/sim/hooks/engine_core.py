"""The engine core is shown once, whole, before its first step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from .hook import Hook, wrap

MODULE = "vllm.v1.engine.core"


_seen: WeakSet[Any] = WeakSet()
_callbacks: list[Callable[[Any], None]] = []


def install(on_first_step: Callable[[Any], None]) -> None:
    """Call ``on_first_step(engine_core)`` once for each engine core of this process.

    It may put another function at the core's ``step_fn``, from this first step on.
    """
    if on_first_step not in _callbacks:
        _callbacks.append(on_first_step)

    def step(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if instance in _seen:
            return wrapped(*args, **kwargs)
        _seen.add(instance)
        for callback in _callbacks:
            callback(instance)
        return instance.step_fn(*args, **kwargs)

    wrap(MODULE, "EngineCore.step", step, ())
    wrap(MODULE, "EngineCore.step_with_batch_queue", step, ())


HOOK = Hook(
    target=f"{MODULE}:EngineCore.step, step_with_batch_queue",
    what="hands the executor a read-only view of the scheduler, once; under `--sim-record` "
    "hands the core to the recorder, which times its steps",
    why="a step's record tells running and waiting requests and free blocks, and the "
    "executor is built before the scheduler and never sees it",
    until="upstream passes these counts in `SchedulerOutput`",
)
