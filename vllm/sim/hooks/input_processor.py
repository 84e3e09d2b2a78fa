"""Every request passes by, whichever API it came through, before it goes to the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .hook import Hook, wrap

MODULE = "vllm.v1.engine.input_processor"


def install(on_request: Callable[[Any, Any], None]) -> None:
    """Call ``on_request(renderer, engine_core_request)``, which may change or refuse it."""

    def process(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        request = wrapped(*args, **kwargs)
        on_request(instance.renderer, request)
        return request

    wrap(MODULE, "InputProcessor.process_inputs", process, ("request_id", "prompt", "params"))


HOOK = Hook(
    target=f"{MODULE}:InputProcessor.process_inputs",
    what="attaches the places of the matching rows to the request; refuses the request where "
    "nothing matches and nothing refused it earlier (`LLM`, token-in APIs)",
    why="only the front end knows the whole prompt's ids and may still refuse; an error in "
    "the engine would end it",
    until="the platform's `validate_request` is given the engine's configuration and the "
    "request's own copy of its sampling parameters",
)
