"""What a hook is, and the only way in which this package changes anything of vLLM."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import wrapt

from ..errors import UpstreamMovedError

Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]


@dataclass(frozen=True)
class Hook:
    """One patch of vLLM, with its reason. Its file has an ``install`` that may be repeated."""

    target: str  # module:attribute, …
    what: str
    why: str
    until: str  # when it can go


def wrap(module_name: str, attribute: str, wrapper: Wrapper, parameters: tuple[str, ...]) -> None:
    """Put a wrapper around a function of vLLM, once.

    Args:
        module_name: Imported here if it is not yet.
        attribute: ``function`` or ``Class.method``.
        wrapper: ``(wrapped, instance, args, kwargs)``, as wrapt calls it.
        parameters: Names that the function must take, in this order, after ``self``.

    Raises:
        UpstreamMovedError: The function is gone, or takes something else.
    """
    where = f"{module_name}:{attribute}"
    target: Any = importlib.import_module(module_name)
    try:
        for name in attribute.split("."):
            target = inspect.getattr_static(target, name)
    except AttributeError:
        raise UpstreamMovedError(
            f"{where} is gone from this vLLM: adapt vllm/sim/hooks (docs/upgrading-vllm.md)"
        ) from None
    if isinstance(target, wrapt.FunctionWrapper):
        return
    function = target.__func__ if isinstance(target, (staticmethod, classmethod)) else target
    found = tuple(name for name in inspect.signature(function).parameters if name != "self")
    if found[: len(parameters)] != parameters:
        raise UpstreamMovedError(
            f"{where} takes {', '.join(found) or 'nothing'}, not {', '.join(parameters)}: "
            f"adapt vllm/sim/hooks (docs/upgrading-vllm.md)"
        )
    wrapt.wrap_function_wrapper(module_name, attribute, wrapper)
