"""CUDA streams and events for a machine without CUDA: enough for a real async engine on a CPU.

With asynchronous scheduling vLLM's model runner copies sampled tokens on a stream of its
own. The CPU platform therefore switches asynchronous scheduling off. On a CPU a copy is
done when the call returns, so streams and events that do nothing are right.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import mock


class _Event:
    def __init__(self, *_: Any, **__: Any) -> None: ...
    def record(self, *_: Any) -> None: ...
    def synchronize(self) -> None: ...


class _Stream:
    def __init__(self, *_: Any, **__: Any) -> None: ...
    def wait_stream(self, *_: Any) -> None: ...


@contextmanager
def cuda_streams_on_a_cpu() -> Iterator[None]:
    with (
        mock.patch("torch.cuda.Event", _Event),
        mock.patch("torch.cuda.Stream", _Stream),
        mock.patch("torch.cuda.current_stream", _Stream),
        mock.patch("torch.cuda.stream", lambda _: nullcontext()),
    ):
        yield
