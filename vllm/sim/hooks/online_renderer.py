"""A prompt that nothing answers is refused before a streamed response has begun."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .hook import Hook, wrap

MODULE = "vllm.renderers.online_renderer"
CLASS = "OnlineRenderer"


def install(check: Callable[[Any, Any], None]) -> None:
    """Call ``check(renderer, prompt_token_ids)`` for each prompt that the server has rendered.

    ``check`` raises what the client is to see.
    """
    from vllm.entrypoints.serve.engine.protocol import ErrorResponse

    async def completion(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        rendered = await wrapped(*args, **kwargs)
        if not isinstance(rendered, ErrorResponse):
            for engine_input in rendered:
                check(instance.renderer, engine_input.get("prompt_token_ids"))
        return rendered

    async def chat(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        rendered = await wrapped(*args, **kwargs)
        if not isinstance(rendered, ErrorResponse):
            _, engine_inputs = rendered
            for engine_input in engine_inputs:
                check(instance.renderer, engine_input.get("prompt_token_ids"))
        return rendered

    async def responses(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        rendered = await wrapped(*args, **kwargs)
        if not isinstance(rendered, ErrorResponse):
            check(instance.renderer, rendered.engine_input.get("prompt_token_ids"))
        return rendered

    wrap(MODULE, f"{CLASS}.render_completion", completion, ("request",))
    wrap(MODULE, f"{CLASS}.render_chat", chat, ("request",))
    wrap(MODULE, f"{CLASS}.render_responses", responses, ("request",))


HOOK = Hook(
    target=f"{MODULE}:{CLASS}.render_completion, render_chat, render_responses",
    what="refuses an unmatched prompt with HTTP 400 under `--sim-on-miss error`",
    why="a refusal at `process_inputs` comes after a stream has answered 200",
    until="upstream has the platform validate a request before it starts a stream",
)
