"""The hottest blocks of a run, with what they hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..metrics.prefix_blocks import Blocks
from ..metrics.prefix_log import Columns
from ..trace.formats.base import Reader
from .replay_rows import Prompts

_HOTTEST = 20
_PREVIEW_TOKENS = 512  # of a large block


def hottest_blocks(
    log: Columns, blocks: Blocks, request_lines: list[int], reader: Reader, prompts: Prompts,
    block_size: int,
) -> list[dict[str, Any]]:  # fmt: skip
    """The blocks with the most hits, the hottest first.

    Reads the trace again as far as it must, because keeping all prompts would take more
    memory than the run.
    """
    order = np.lexsort((blocks.first_place, -blocks.hits))[:_HOTTEST]
    found = [int(block) for block in order if blocks.hits[block]]
    hottest: list[dict[str, Any]] = []
    wanted: dict[int, list[tuple[dict[str, Any], int]]] = {}
    for block in found:
        run, place = int(blocks.first_run[block]), int(blocks.first_place[block])
        facts: dict[str, Any] = {
            "hash": f"{int(blocks.hashes[block]):016x}",
            "hits": int(blocks.hits[block]),
            "place": place,
            "line": request_lines[int(log.request[run])] if run >= 0 else None,
            "text": None,
        }
        hottest.append(facts)
        if run >= 0:
            wanted.setdefault(facts["line"], []).append((facts, place))
    if not wanted:
        return hottest
    last = max(wanted)
    for line, _, row in reader:
        if line in wanted:
            tokens = prompts.ids(row, line)
            for facts, place in wanted[line]:
                piece = tokens[place * block_size : (place + 1) * block_size]
                if row.hash_ids and not row.has_text:
                    size = row.block_size or (reader.header.block_size if reader.header else None)
                    at = place * block_size // size if size else 0
                    facts["text"] = f"hash id {row.hash_ids[at]} of the trace"
                else:
                    facts["text"] = prompts.decode(piece[:_PREVIEW_TOKENS])
        if line >= last:
            break
    return hottest
