"""How many KV blocks a trace needs so that nothing is ever evicted.

vLLM makes an object of each block, so a cache that is merely very large would fill the
memory. The blocks that a trace can fill are counted before the engine is built: each
different block of the prompts once, and the answers' own.
"""

from __future__ import annotations

from typing import NamedTuple

from ..trace.blocks import ids_of_tokens, reblock, unshared_ids
from ..trace.reuse import PrefixReuse
from ..trace.schema import TraceRow
from .replay_answers import RowAnswers
from .replay_rows import Prompts
from .replay_run import Source

# What each request holds beside whole blocks: a partial one, and the last one of its prompt a
# second time, because vLLM computes a prompt's last token again.
_EXTRA_BLOCKS = 2


class BlockNeed(NamedTuple):
    """Numbers of blocks, with vLLM's null block."""

    expected: int  # where every block is held once
    bound: int  # where nothing is shared


def blocks_needed(source: Source, prompts: Prompts, block_size: int) -> BlockNeed:
    """Read the trace and count.

    Args:
        source: The open trace.
        prompts: Of an engine with the same model; text is counted with its tokenizer.
        block_size: Of the engine.
    """
    reuse = PrefixReuse()
    answers = RowAnswers(prompts.encode_answer, prompts.plain_ids, prompts.end_id)
    extra = bound = 1
    reader = source.reader
    for line, _, row in reader:
        header = reader.header
        size = row.block_size or (None if header is None else header.block_size)
        ids, length = _ids(row, line, size, prompts, block_size)
        reuse.add(ids, block_size, length)
        answer = answers.length(row)
        extra += answer // block_size + _EXTRA_BLOCKS
        bound += (length + answer) // block_size + _EXTRA_BLOCKS
    reuse.finish()
    return BlockNeed(min(reuse.distinct_blocks + extra, bound), bound)


def _ids(
    row: TraceRow, line: int, size: int | None, prompts: Prompts, block_size: int
) -> tuple[list[int], int]:
    """The prompt's blocks, as numbers that are equal where they are, and its tokens."""
    if not row.has_text and row.input_length and not row.hash_ids:
        return unshared_ids(row.input_length, block_size, line), row.input_length
    if not row.has_text and row.input_length and size and not size % block_size:
        return reblock(
            row.hash_ids or (), row.input_length, size, block_size, line
        ), row.input_length
    tokens = prompts.ids(row, line)
    return ids_of_tokens(tokens, block_size), len(tokens)
