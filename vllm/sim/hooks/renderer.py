"""The front end says when it has settled how it renders prompts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .hook import Hook, wrap

MODULE = "vllm.renderers.base"


def install(on_warmup: Callable[[Any, Any], None]) -> None:
    """Call ``on_warmup(renderer, chat_params)`` when a server or ``LLM`` is about to be ready."""

    def warmup(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        on_warmup(instance, args[0] if args else kwargs["chat_params"])
        return wrapped(*args, **kwargs)

    wrap(MODULE, "BaseRenderer.warmup", warmup, ("chat_params",))


HOOK = Hook(
    target=f"{MODULE}:BaseRenderer.warmup",
    what="indexes the trace with the renderer and the chat parameters of this server or `LLM`",
    why="`--chat-template` and its options are known to the front end only, and the index "
    "must tokenize as the front end does",
    until="upstream calls plugins when a front end starts",
)
