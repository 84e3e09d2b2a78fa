"""The front end's half of a replay: which rows answer a prompt, and refusing the rest.

A prompt is matched on its token ids, after vLLM has rendered and tokenized it, so
text, chat messages and raw ids all match the same row. The places of the rows
travel to the engine in ``SamplingParams.extra_args``; the answers stay in the file.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from weakref import WeakKeyDictionary

from prometheus_client import Counter
from vllm.exceptions import VLLMValidationError
from vllm.renderers import BaseRenderer, ChatParams
from vllm.v1.engine import EngineCoreRequest

from ..config import SimSettings
from ..trace.read import PlacedRow, TraceFile
from ..trace.store import TraceStore
from .answers import PLACES_KEY
from .counters import export_counters
from .prompt_encoder import LengthPrompts, PromptEncoder
from .settings import settings_of

logger = logging.getLogger("vllm.sim.matching")

# vLLM drops every collector with "vllm" in its name when an engine starts.
_HITS = Counter("sim:trace_hits", "Requests that a row of the trace answers.")
_MISSES = Counter("sim:trace_misses", "Requests that no row of the trace answers.")

_QUOTED_CHARS = 80
_LOGGED_MISSES = 20


class PromptMatcher:
    """Finds the rows for a prompt.

    Args:
        settings: The trace, and what to do on a miss.
        renderer: vLLM's renderer: chat template and tokenizer of this engine.
        chat: How this server or ``LLM`` renders chats.

    Raises:
        TraceError: The trace is broken.
    """

    def __init__(self, settings: SimSettings, renderer: BaseRenderer, chat: ChatParams) -> None:
        self._settings = settings
        self._renderer = renderer
        self._encoder = PromptEncoder(renderer, chat)
        self._misses = 0
        self._file: TraceFile | None = None
        self._lengths: LengthPrompts | None = None
        self._store: TraceStore | None = None
        if settings.trace_path is not None:
            self._file = TraceFile(settings.trace_path)
            self._lengths = LengthPrompts(renderer, self._file.path)
            self._store = TraceStore(self._file, self._encode)

    def check(self, prompt_ids: Sequence[int] | None) -> None:
        """Refuse a prompt that nothing answers, where misses are errors.

        Raises:
            VLLMValidationError: HTTP 400; quotes the prompt and the closest row.
        """
        if self._settings.on_miss == "error" and not self._find(prompt_ids):
            self._count_miss(prompt_ids)
            raise VLLMValidationError(self._explain(prompt_ids), parameter="prompt")

    def attach(self, request: EngineCoreRequest) -> None:
        """Send the places of the rows along with a request.

        Raises:
            VLLMValidationError: As :meth:`check`.
        """
        params = request.sampling_params
        assert params is not None, "pooling is refused at start-up"
        if params.prompt_logprob_token_ids is not None:
            raise VLLMValidationError(
                "prompt_logprob_token_ids is not simulated: a trace has no scores of other tokens",
                parameter="prompt_logprob_token_ids",
            )
        if params.trace_decode_token_ids:
            return
        places = self._find(request.prompt_token_ids)
        if not places:
            self.check(request.prompt_token_ids)
            self._count_miss(request.prompt_token_ids)
            return
        _HITS.inc()
        params.extra_args = {**(params.extra_args or {}), PLACES_KEY: places}

    def _find(self, prompt_ids: Sequence[int] | None) -> list[list[int]]:
        if self._store is None or prompt_ids is None:
            return []
        return [list(place) for place in self._store.find(self._encoder.with_one_bos(prompt_ids))]

    def _count_miss(self, prompt_ids: Sequence[int] | None) -> None:
        _MISSES.inc()
        self._misses += 1
        if self._misses <= _LOGGED_MISSES:
            logger.warning("trace miss %d: %s", self._misses, self._quote(prompt_ids))
        if self._misses == _LOGGED_MISSES:
            logger.warning("further misses are counted in sim:trace_misses_total only")

    def _explain(self, prompt_ids: Sequence[int] | None) -> str:
        if prompt_ids is None:
            return "the simulator matches on token ids and this prompt has none (embeddings)"
        assert self._store is not None and self._settings.trace_path is not None
        closest = self._store.closest(prompt_ids)
        recorded = self._encode([closest.placed])[0]
        common = 0
        for mine, theirs in zip(prompt_ids, recorded, strict=False):
            if mine != theirs:
                break
            common += 1
        return (
            f"no row of the trace {Path(self._settings.trace_path).name} answers this prompt "
            f"({len(prompt_ids)} tokens): {self._quote(prompt_ids)}. The closest is line "
            f"{closest.placed.line} ({len(recorded)} tokens): {self._quote(recorded)}; they part "
            f"at token {common}: {self._quote(prompt_ids[common:])} against "
            f"{self._quote(recorded[common:])}. Record it, or start with --sim-on-miss echo "
            f"or synthetic"
        )

    def _quote(self, token_ids: Sequence[int] | None) -> str:
        ids = list(token_ids or ())
        if self._renderer.tokenizer is None:
            return f"{ids[:16]}"
        text = self._renderer.tokenizer.decode(ids[:_QUOTED_CHARS], skip_special_tokens=False)
        return repr(text[:_QUOTED_CHARS]) + ("…" if len(text) > _QUOTED_CHARS else "")

    def _encode(self, rows: Sequence[PlacedRow]) -> list[Sequence[int]]:
        assert self._file is not None and self._lengths is not None
        encoded = iter(self._encoder.encode_prompts([row for _, _, row in rows if row.has_text]))
        return [
            next(encoded) if placed.row.has_text else self._lengths.ids(placed, self._file.header)
            for placed in rows
        ]


_matchers: WeakKeyDictionary[BaseRenderer, PromptMatcher | None] = WeakKeyDictionary()


def match_nothing(renderer: BaseRenderer) -> None:
    """Let this renderer's requests pass: whoever sends them binds the answers as well."""
    _matchers[renderer] = None


def load_matcher(renderer: BaseRenderer, chat: ChatParams) -> None:
    """Index the trace for a renderer, when its engine is simulated."""
    settings = settings_of(renderer.config)
    if settings is not None:
        _matchers[renderer] = PromptMatcher(settings, renderer, chat)
        export_counters(renderer.config)


def check(renderer: BaseRenderer, prompt_ids: Sequence[int] | None) -> None:
    """Refuse a prompt of a simulated engine that nothing answers."""
    if (matcher := _matcher_of(renderer)) is not None:
        matcher.check(prompt_ids)


def attach(renderer: BaseRenderer, request: EngineCoreRequest) -> None:
    """Send the places of the matching rows along with a simulated engine's request."""
    if (matcher := _matcher_of(renderer)) is not None:
        matcher.attach(request)


def _matcher_of(renderer: BaseRenderer) -> PromptMatcher | None:
    """The matcher of a renderer's engine; None when that engine is real."""
    if settings_of(renderer.config) is None:
        return None
    if renderer not in _matchers:  # an engine that is driven without LLM or a server
        load_matcher(renderer, ChatParams())
    return _matchers[renderer]
