"""What ``vllm sim prefix`` runs: a trace, its cache, and how much of the answers."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path

import msgspec

from ..trace.formats.base import Reader
from ..trace.read import PlacedRow
from ..trace.schema import TraceRow
from ..workload.client import Clients
from .replay_run import RunOptions, Source


@dataclass(frozen=True)
class PrefixOptions(RunOptions):
    """One run of the laboratory."""

    name: str = ""
    infinite: bool = False  # a cache in which nothing is ever evicted
    caching: bool = True
    prefill_only: bool = False  # answers of one token

    @classmethod
    def all_of(cls, args: argparse.Namespace) -> list[PrefixOptions]:
        """The runs that a command line asks for, each with a folder of its own if several."""
        names = _names(args.trace)
        runs = []
        for trace, name in zip(args.trace, names, strict=True):
            args.trace = trace
            common = RunOptions.of(args)
            known = {each.name: vars(common)[each.name] for each in fields(RunOptions)}
            run = cls(
                **known, name=name, infinite=args.infinite, prefill_only=args.prefill_only,
                caching=args.enable_prefix_caching is not False,
            )  # fmt: skip
            runs.append(run)
            if args.no_prefix_caching:
                runs.append(replace(run, name=f"{name} uncached", caching=False, infinite=False))
        if len(runs) == 1:
            return runs
        return [replace(run, out=args.out / run.name.replace(" ", "-")) for run in runs]

    @contextmanager
    def opened(self) -> Iterator[Source]:
        with super().opened() as source:
            if not self.prefill_only:
                yield source
                return
            reader = _OneToken(source.reader)
            clients = Clients(
                reader, self.trace, self.arrivals, self.rate_scale, self.max_concurrency
            )
            yield Source(reader, clients)


class _OneToken:
    """A trace whose answers have one token."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.path, self.header, self.notes = reader.path, reader.header, reader.notes

    def __iter__(self) -> Iterator[PlacedRow]:
        for placed in self._reader:
            yield placed._replace(row=_one_token(placed.row))

    def close(self) -> None:
        self._reader.close()


def _one_token(row: TraceRow) -> TraceRow:
    return msgspec.structs.replace(
        row, response=None, response_token_ids=None, output_length=1, max_tokens=1,
        finish_reason="length", logprobs=None,
    )  # fmt: skip


def _names(traces: list[Path]) -> list[str]:
    """A name for each run: the file's, with a number where it comes twice."""
    names: list[str] = []
    for trace in traces:
        stem = name = trace.name.partition(".")[0]
        again = 2
        while name in names:
            name, again = f"{stem} {again}", again + 1
        names.append(name)
    return names
