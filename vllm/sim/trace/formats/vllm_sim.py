"""This package's own trace: see ``docs/traces.md``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import BinaryIO

import msgspec

from ..read import TraceFile
from ..schema import HEADER_KEY, KNOWN_FIELDS, TraceHeader, TraceRow
from .base import Format, Reader, ReadOptions, Sample, WriteOptions


class VllmSimReader(TraceFile):
    """``TraceFile`` in the shape of the other readers."""

    def __init__(self, path: Path, options: ReadOptions) -> None:
        super().__init__(path)
        self.notes: Counter[str] = Counter()


class VllmSimWriter:
    """One JSON object a line, the header first where there is one."""

    def __init__(self, out: BinaryIO, header: TraceHeader | None, options: WriteOptions) -> None:
        self.notes: Counter[str] = Counter()
        self._out, self._encoder = out, msgspec.json.Encoder()
        if header is not None:
            self._line(header)

    def write(self, row: TraceRow) -> None:
        self._line(row)

    def _line(self, item: TraceRow | TraceHeader) -> None:
        fields = {
            name: value
            for name in item.__struct_fields__
            if name != "extra" and (value := getattr(item, name)) is not None
        }
        fields.update(item.extra)
        self._out.write(self._encoder.encode(fields) + b"\n")

    def finish(self) -> None:
        pass


def _sniff(sample: Sample) -> bool:
    first = sample.first
    if first is None or sample.array:
        return False
    if HEADER_KEY in first:
        return True
    if not first.keys() & {"response", "response_token_ids", "output_length"}:
        return False
    # Lengths alone may be anyone's; with a block size of their own they are ours.
    ours = {"prompt", "messages", "prompt_token_ids", "block_size"}
    return bool(first.keys() & ours) or _lengths_in_seconds(first)


def _lengths_in_seconds(first: dict[str, object]) -> bool:
    """Length rows without hash ids, with nothing in them but our own names."""
    return "input_length" in first and "hash_ids" not in first and first.keys() <= KNOWN_FIELDS


def _open(path: Path, options: ReadOptions) -> Reader:
    return VllmSimReader(path, options)


FORMAT = Format(
    name="vllm-sim",
    title="vllm-sim trace",
    sniff=_sniff,
    reader=_open,
    writer=VllmSimWriter,
    says=KNOWN_FIELDS,
    keeps_extra=True,
    covers=False,
)
