"""kv-cache-tester's agentic sessions: one JSON file a session, or a folder of them.

``in`` tokens have ``in // block_size`` hash ids: the partial last block has none. Ids
are local to a file, so each file's are moved past those of the file before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import msgspec

from ...errors import TraceError
from ..read import PlacedRow, open_trace
from ..schema import TraceHeader, TraceRow, row_from_json
from .base import Format, ReadOptions, Sample, WriteOptions, kept
from .length_rows import needed

_NEEDED = ("t", "in", "out", "hash_ids")
_SAID = {*_NEEDED, "think_time", "ttft", "model"}
_STOPS = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length",
          "tool_use": "tool_calls"}  # fmt: skip


class KvCacheTesterReader:
    """The requests of a session, or of all sessions in a folder by file name."""

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self.path, self.options = path, options
        self.header: TraceHeader | None = None
        self.notes: Counter[str] = Counter()
        self._files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not self._files:
            raise TraceError(path, "is a folder without .json files")

    def __iter__(self) -> Iterator[PlacedRow]:
        self.header = TraceHeader(vllm_sim_trace=1, provenance={"format": "kv-cache-tester"})
        first_free = 0
        for number, file in enumerate(self._files):
            session = _Session(file, number if self.options.renumber else None)
            shift = 0 if session.ids_are_global else first_free
            for placed in session.rows(shift, timed=len(self._files) == 1):
                assert placed.row.hash_ids is not None
                first_free = max(first_free, max(placed.row.hash_ids, default=-1) + 1)
                yield placed
            if len(self._files) > 1:
                self.notes[
                    "sessions that do not say when they began: no timestamps, closed loops only"
                ] += 1
            if not session.ids_are_global:
                self.notes["sessions whose hash ids are their own: sharing between is unknown"] += 1

    def close(self) -> None:
        pass


class _Session:
    """One file. It is read whole: a session is small."""

    def __init__(self, path: Path, number: int | None) -> None:
        self._path = path
        with open_trace(path) as file:
            raw = file.read()
        try:
            whole = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._fail(f"not valid JSON: {error}; is the file cut off?")
        if not isinstance(whole, dict) or not isinstance(whole.get("requests"), list):
            self._fail("no requests; a kv-cache-tester session is an object with a list of them")
        self._requests: list[Any] = whole["requests"]
        if not self._requests:
            self._fail("holds no requests")
        block_size = whole.get("block_size")
        if not isinstance(block_size, int) or block_size < 1:
            self._fail(f"block_size must be a number of tokens, is {block_size!r}")
        self._block_size = block_size
        self._id = whole.get("id", path.stem) if number is None else number
        self.ids_are_global = whole.get("hash_id_scope") == "global"

    def rows(self, shift: int, timed: bool) -> Iterator[PlacedRow]:
        for turn, request in enumerate(self._requests, start=1):
            yield PlacedRow(turn, 0, self._row(request, turn, shift, timed))

    def _row(self, request: Any, turn: int, shift: int, timed: bool) -> TraceRow:
        if not isinstance(request, dict):
            self._fail(f"request {turn} is not an object")
        if missing := [name for name in _NEEDED if request.get(name) is None]:
            self._fail(f"request {turn} has no {' and no '.join(missing)}")
        given, ids = request["in"], request["hash_ids"]
        if isinstance(given, int) and len(ids) != given // self._block_size:
            self._fail(
                f"request {turn} has {len(ids)} hash_ids of {self._block_size} tokens for "
                f"{given} tokens, which fill {given // self._block_size}"
            )
        stop = request.get("stop")
        fields = {
            "input_length": given,
            "output_length": request["out"],
            "hash_ids": ids,
            "block_size": self._block_size,
            "timestamp": request["t"] if timed else None,
            "session_id": self._id,
            "turn": turn,
            "think_time": request.get("think_time"),
            "ttft": request.get("ttft"),
            "model": request.get("model"),
            "finish_reason": _STOPS.get(stop) if isinstance(stop, str) else None,
        }
        try:
            row = row_from_json({name: v for name, v in fields.items() if v is not None})
        except ValueError as error:
            self._fail(f"request {turn}: {error}")
        assert isinstance(row, TraceRow)
        if shift and row.hash_ids:
            row.hash_ids = [each + shift for each in row.hash_ids]
        row.extra = kept({name: v for name, v in request.items() if name not in _SAID})
        if not timed:
            row.extra["t"] = request["t"]
        return row

    def _fail(self, cause: str) -> NoReturn:
        raise TraceError(self._path, cause)


class KvCacheTesterWriter:
    """One session a file. It is held until the end: the block size stands before the rows."""

    def __init__(self, out: BinaryIO, header: TraceHeader | None, options: WriteOptions) -> None:
        self.notes: Counter[str] = Counter()
        self._out = out
        self._requests: list[dict[str, Any]] = []
        self._session: str | int | None = None
        self._block_size: int | None = None

    def write(self, row: TraceRow) -> None:
        if not self._requests:
            self._session, self._block_size = row.session_id, row.block_size
        elif row.session_id != self._session:
            raise ValueError(
                f"belongs to session {row.session_id!r}, and kv-cache-tester has one session a "
                f"file; pick one with --session {self._session}"
            )
        elif row.block_size != self._block_size:
            raise ValueError(
                f"has hash ids of {row.block_size} tokens, the rows before it of "
                f"{self._block_size}; say which with --block-size"
            )
        length, ids = needed(row, "input_length"), needed(row, "hash_ids")
        assert self._block_size is not None  # ids without one never get here
        if len(ids) > (full := length // self._block_size):
            ids = ids[:full]
            self.notes["hash ids of a partial last block, for which there is no place"] += 1
        at = row.timestamp if row.timestamp is not None else row.extra.get("t")
        if at is None:
            raise ValueError("has no timestamp, which kv-cache-tester needs")
        request = {
            "t": at,
            "type": row.extra.get("type", "n" if row.ttft is None else "s"),
            "model": row.model,
            "in": length,
            "out": needed(row, "output_length"),
            "hash_ids": ids,
            "stop": row.extra.get("stop", _stop_of(row)),
            "ttft": row.ttft,
            "think_time": row.think_time,
        }
        more = {k: row.extra[k] for k in ("input_types", "output_types", "api_time")
                if k in row.extra}  # fmt: skip
        self._requests.append({k: v for k, v in (request | more).items() if v is not None})

    def finish(self) -> None:
        whole = {
            "id": "session" if self._session is None else self._session,
            "models": sorted({r["model"] for r in self._requests if "model" in r}),
            "block_size": self._block_size,
            "hash_id_scope": "local",
            "requests": self._requests,
        }
        self._out.write(msgspec.json.encode(whole) + b"\n")


def _stop_of(row: TraceRow) -> str | None:
    said = {theirs: ours for ours, theirs in reversed(_STOPS.items())}
    return None if row.finish_reason is None else said.get(row.finish_reason)


def _sniff(sample: Sample) -> bool:
    head = sample.text[:4096]
    return (
        head.lstrip().startswith("{")
        and '"requests"' in sample.text
        and '"hash_id_scope"' in sample.text
        and '"block_size"' in head
    )


FORMAT = Format(
    name="kv-cache-tester",
    title="kv-cache-tester session",
    sniff=_sniff,
    reader=KvCacheTesterReader,
    writer=KvCacheTesterWriter,
    says=frozenset(
        {"timestamp", "input_length", "output_length", "hash_ids", "block_size", "session_id"}
        | {"turn", "think_time", "ttft", "model", "finish_reason"}
        | {"t", "type", "stop", "input_types", "output_types", "api_time"}
    ),
    needs_ids=True,
    covers=False,
)
