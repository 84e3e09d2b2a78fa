"""A file is whole or not there; rows sort and wait on disk."""

from __future__ import annotations

import gzip
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.paths import REPOSITORY

from vllm.sim.errors import TraceError
from vllm.sim.trace import spool
from vllm.sim.trace.read import PlacedRow
from vllm.sim.trace.schema import TraceRow
from vllm.sim.trace.spool import sorted_rows, spooled
from vllm.sim.trace.write import whole_file


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_what_was_there(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    with pytest.raises(error), whole_file(path) as out:
        out.write(b"new")
        raise error
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    assert path.read_text() == "old"


def test_the_file_appears_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with whole_file(path) as out:
        out.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_packed_files_are_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a.gz", "b.gz"):
        with whole_file(tmp_path / name) as out:
            out.write(b"row\n" * 100)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()) == b"row\n" * 100


def test_a_missing_folder_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="does not exist"), whole_file(tmp_path / "no" / "x"):
        pass
    (tmp_path / "x").mkdir()
    with pytest.raises(TraceError, match="is a folder"), whole_file(tmp_path / "x"):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_an_interrupted_conversion_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    row = b'{"prompt": "a question of some length", "response": "and its answer"}\n'
    source.write_bytes(row * 400_000)
    script = (
        "import sys, types; stub = types.ModuleType('vllm'); "
        f"stub.__path__ = [{str(REPOSITORY / 'vllm')!r}]; sys.modules['vllm'] = stub; "
        "from vllm.sim.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = ["trace", "convert", str(source), "--out", str(tmp_path / "out.jsonl")]
    # A shell that started the tests in the background has its children ignore Ctrl-C.
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob(".out.jsonl.*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert [p.name for p in tmp_path.iterdir()] == ["in.jsonl"]


def _placed(number: int, at: float) -> PlacedRow:
    row = TraceRow(prompt="p", response="r", timestamp=at, extra={"n": number})
    return PlacedRow(number, 0, row)


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_rows_sort_on_disk_and_equal_ones_keep_their_order(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "_CHUNK_ROWS", chunk)
    monkeypatch.setattr(spool, "_MAX_CHUNKS", 5)
    source = random.Random(0)
    rows = [_placed(n, source.randrange(10)) for n in range(100)]
    by_time = sorted(rows, key=lambda placed: placed.row.timestamp)
    assert list(sorted_rows(rows, lambda placed: placed.row.timestamp)) == by_time
    pairs = sorted(rows, key=lambda placed: (placed.row.timestamp, -placed.line))
    key = lambda placed: (placed.row.timestamp, -placed.line)  # noqa: E731
    assert list(sorted_rows(rows, key)) == pairs


def test_rows_wait_on_disk_as_they_are() -> None:
    rows = [_placed(n, n / 3) for n in range(5)]
    assert list(spooled(iter(rows))) == rows
