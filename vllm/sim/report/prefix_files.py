"""``blocks.csv`` and ``requests.csv`` of a run of the prefix laboratory."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..clock import NS_PER_S
from ..errors import RecordingError
from ..metrics.prefix_blocks import Blocks
from ..metrics.prefix_log import Columns, PrefixLog
from ..records import RequestRecord

# The hottest: a trace of 145 million tokens has millions of blocks, most of them used once.
MOST_BLOCKS = 100_000

_BLOCKS = "hash hits stored first_use_s last_use_s place line".split()
_REQUESTS = (
    "line id session turn arrival_s admitted_s prompt_tokens shared_tokens sharing_fraction "
    "hit_blocks".split()
)


def write_requests(
    folder: Path, ids: Sequence[str], log: Columns, records: Iterable[RequestRecord]
) -> None:
    """One row for each request that was admitted, in that order."""
    by_id = {record.id: record for record in records}
    columns = zip(
        ids, log.prompt_tokens.tolist(), log.cached_tokens.tolist(), log.hit_blocks.tolist(),
        log.admitted_ns.tolist(), strict=True,
    )  # fmt: skip
    rows = (
        (
            by_id[id].trace_line, id, by_id[id].session_id, by_id[id].turn,
            by_id[id].arrival_ns / NS_PER_S, admitted_ns / NS_PER_S, prompt, cached,
            f"{cached / prompt:.6f}", hits,
        )
        for id, prompt, cached, hits, admitted_ns in columns
    )  # fmt: skip
    _write(folder / "requests.csv", _REQUESTS, rows)


def write_blocks(
    folder: Path, log: Columns, blocks: Blocks, lines: dict[str, int], names: PrefixLog
) -> int:
    """One row for each content, the hottest first; returns how many were written."""
    order = np.lexsort((blocks.first_place, blocks.first_ns, -blocks.hits))
    order = order[(blocks.stored[order] > 0)][:MOST_BLOCKS]

    def row(block: int) -> tuple[Any, ...]:
        run = int(blocks.first_run[block])
        line = None if run < 0 else lines[names.request_ids[int(log.request[run])]]
        return (
            f"{int(blocks.hashes[block]):016x}", int(blocks.hits[block]),
            int(blocks.stored[block]), int(blocks.first_ns[block]) / NS_PER_S,
            int(blocks.last_ns[block]) / NS_PER_S,
            None if run < 0 else int(blocks.first_place[block]), line,
        )  # fmt: skip

    _write(folder / "blocks.csv", _BLOCKS, map(row, order.tolist()))
    return len(order)


def _write(path: Path, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(head)
            writer.writerows(rows)
    except OSError as error:
        raise RecordingError(f"{path} cannot be written: {error.strerror}") from None
