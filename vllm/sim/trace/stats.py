"""What a trace's traffic looks like: arrivals, lengths, turns, prefix reuse."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from .blocks import ids_of_tokens
from .duplicates import digest
from .formats import Reader
from .guard import RowGuard
from .progress import with_progress
from .reuse import PrefixReuse
from .schema import TraceRow
from .summary import Summary, summarize
from .tokens import RowTokenizer, stated_lengths


class Arrivals(msgspec.Struct, frozen=True):
    """When requests come. ``cv`` is the gaps' standard deviation over their mean.

    1 is a Poisson process, 0 a metronome; above 1 is bursty.
    """

    requests: int
    span_s: float  # from the first to the last
    rate: float | None  # requests a second over the span
    cv: float | None


class Turns(msgspec.Struct, frozen=True):
    """Sessions, and how many requests each has."""

    sessions: int
    mean: float
    max: int
    think_time_s: Summary | None


class Reuse(msgspec.Struct, frozen=True):
    """Prompt tokens that an infinite prefix cache would have held."""

    rows: int  # whose blocks are known
    input_tokens: int  # of these rows
    hit_tokens: int
    share: float
    distinct_blocks: int


class TraceStats(msgspec.Struct, frozen=True):
    """None where the trace does not say."""

    path: str
    format: str
    rows: int
    arrivals: Arrivals | None
    input_tokens: Summary | None
    output_tokens: Summary | None
    turns: Turns | None
    reuse: Reuse | None


@dataclass(frozen=True)
class Columns:
    """The numbers behind the statistics, one a row; for the picture."""

    timestamps: array[float]
    inputs: array[int]
    outputs: array[int]
    reuse_inputs: array[int]
    reuse_hits: array[int]


def trace_stats(
    reader: Reader, format_name: str, tokenizer: RowTokenizer | None, block_size: int
) -> tuple[TraceStats, Columns]:
    """Read all of a trace.

    Args:
        block_size: Of prompts that have tokens and no hash ids.

    Raises:
        TraceError: A row is broken, or times run backwards.
    """
    collector = _Collector(reader, tokenizer, block_size)
    for placed in with_progress(reader, reader.path, "stats"):
        collector.add(placed.row, placed.line)
    return collector.stats(format_name)


class _Collector:
    def __init__(self, reader: Reader, tokenizer: RowTokenizer | None, block_size: int) -> None:
        self._reader, self._tokenizer, self._block_size = reader, tokenizer, block_size
        self._guard = RowGuard(reader.path)
        self._rows = 0
        self._timestamps, self._thinks = array("d"), array("d")
        self._inputs, self._outputs = array("q"), array("q")
        self._sessions = array("Q")
        self._reuse, self._reuse_inputs = PrefixReuse(), array("q")

    def add(self, row: TraceRow, line: int) -> None:
        self._rows += 1
        self._guard.see(row, line)
        if row.timestamp is not None:
            self._timestamps.append(row.timestamp)
        if row.session_id is not None:
            self._sessions.append(digest(row.session_id))
            if row.think_time is not None:
                self._thinks.append(row.think_time)
        tokens = self._tokens(row)
        given, answered = stated_lengths(row)
        if tokens is not None:
            given = len(tokens)
        if self._tokenizer is not None:
            answered = self._tokenizer.response_length(row)
        if given is not None:
            self._inputs.append(given)
            self._add_reuse(row, tokens, given)
        if answered is not None:
            self._outputs.append(answered)

    def _tokens(self, row: TraceRow) -> Any:
        if self._tokenizer is not None:
            return self._tokenizer.prompt_ids(row)
        return row.prompt_token_ids

    def _add_reuse(self, row: TraceRow, tokens: Any, given: int) -> None:
        if tokens is not None:
            size = self._block_size
            # vLLM caches full blocks only, so a partial one is never found again.
            ids = ids_of_tokens(tokens[: given // size * size], size)
        elif row.hash_ids is not None:
            header = self._reader.header
            ids, size = row.hash_ids, row.block_size or (header.block_size if header else None) or 0
            if not size:
                return
        else:
            return
        self._reuse.add(ids, size, given)
        self._reuse_inputs.append(given)

    def stats(self, format_name: str) -> tuple[TraceStats, Columns]:
        self._guard.finish()
        self._reuse.finish()
        stats = TraceStats(
            path=str(self._reader.path),
            format=format_name,
            rows=self._rows,
            arrivals=_arrivals(self._timestamps),
            input_tokens=summarize(self._inputs),
            output_tokens=summarize(self._outputs),
            turns=_turns(self._sessions, self._thinks),
            reuse=self._reuse_found(),
        )
        return stats, Columns(
            self._timestamps,
            self._inputs,
            self._outputs,
            self._reuse_inputs,
            self._reuse.hit_tokens,
        )

    def _reuse_found(self) -> Reuse | None:
        if not self._reuse_inputs:
            return None
        inputs = int(np.frombuffer(self._reuse_inputs, dtype=np.int64).sum())
        hits = int(np.frombuffer(self._reuse.hit_tokens, dtype=np.int64).sum())
        return Reuse(
            rows=len(self._reuse_inputs),
            input_tokens=inputs,
            hit_tokens=hits,
            share=hits / inputs if inputs else 0.0,
            distinct_blocks=self._reuse.distinct_blocks,
        )


def _arrivals(timestamps: array[float]) -> Arrivals | None:
    if not timestamps:
        return None
    times = np.frombuffer(timestamps, dtype=np.float64)
    gaps = np.diff(times)
    span = float(times[-1] - times[0])
    return Arrivals(
        requests=len(times),
        span_s=span,
        rate=len(gaps) / span if span > 0 else None,
        cv=float(gaps.std() / gaps.mean()) if span > 0 else None,
    )


def _turns(sessions: array[int], thinks: array[float]) -> Turns | None:
    if not sessions:
        return None
    _, counts = np.unique(np.frombuffer(sessions, dtype=np.uint64), return_counts=True)
    return Turns(
        sessions=len(counts),
        mean=float(counts.mean()),
        max=int(counts.max()),
        think_time_s=summarize(thinks),
    )
