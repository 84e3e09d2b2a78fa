"""Traffic without text: lengths, and hash ids that say who shares what with whom.

Each kind yields sessions, which are lists of rows without times. A kind without
sessions yields lists of one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..trace.schema import TraceRow
from .distribution import Distribution
from .pieces import Piece, hash_ids
from .random_streams import stream

ONE_TURN = Distribution("constant", (1.0,))


@dataclass(frozen=True)
class SyntheticOptions:
    """What to make. Counts are of tokens unless the name says otherwise.

    ``input_tokens`` are those that a request, or a turn, has for itself: a shared prefix
    comes on top.
    """

    requests: int  # or sessions, where there are any
    input_tokens: Distribution
    output_tokens: Distribution
    seed: int
    block_size: int = 16
    prefix_tokens: int = 0  # of a system prompt, or of each node of a tree
    groups: int = 1  # system prompts, or trees
    depth: int = 3  # nodes from root to leaf
    fan_out: int = 4  # children of a node
    turns: Distribution = ONE_TURN


def random_lengths(options: SyntheticOptions) -> Iterator[list[TraceRow]]:
    """Requests that share nothing."""
    source = stream(options.seed, "lengths")
    for _ in range(options.requests):
        yield [
            TraceRow(
                input_length=options.input_tokens.draw_count(source),
                output_length=options.output_tokens.draw_count(source),
            )
        ]


def shared_prefix(options: SyntheticOptions) -> Iterator[list[TraceRow]]:
    """Requests that begin with one of several system prompts, chosen evenly."""
    lengths, choices = _sources(options)
    for number in range(options.requests):
        group = int(choices.integers(options.groups))
        prefix = [Piece(f"system {group}", options.prefix_tokens)]
        yield [_request(prefix, number, lengths, options)]


def prefix_tree(options: SyntheticOptions) -> Iterator[list[TraceRow]]:
    """Requests that go from the root of a tree to one of its leaves, chosen evenly.

    Two requests share as many nodes as their paths do: all share their tree's root.
    """
    lengths, choices = _sources(options)
    for number in range(options.requests):
        path = f"tree {int(choices.integers(options.groups))}"
        prefix = [Piece(path, options.prefix_tokens)]
        for _ in range(options.depth - 1):
            path += f".{int(choices.integers(options.fan_out))}"
            prefix.append(Piece(path, options.prefix_tokens))
        yield [_request(prefix, number, lengths, options)]


def agentic(options: SyntheticOptions) -> Iterator[list[TraceRow]]:
    """Sessions whose prompt grows: system prompt, task, then each answer and a tool's result."""
    lengths, choices = _sources(options)
    for session in range(options.requests):
        group = int(choices.integers(options.groups))
        prompt = [Piece(f"system {group}", options.prefix_tokens)]
        rows = []
        for turn in range(1, options.turns.draw_count(choices) + 1):
            given = options.input_tokens.draw_count(lengths)
            answered = options.output_tokens.draw_count(lengths)
            prompt.append(Piece(f"input {session}.{turn}", given))
            row = _row(prompt, answered, options)
            row.session_id, row.turn = session, turn
            rows.append(row)
            prompt.append(Piece(f"output {session}.{turn}", answered))
        yield rows


KINDS = {
    "random": random_lengths,
    "shared-prefix": shared_prefix,
    "prefix-tree": prefix_tree,
    "agentic": agentic,
}


def _sources(options: SyntheticOptions) -> tuple[np.random.Generator, np.random.Generator]:
    return stream(options.seed, "lengths"), stream(options.seed, "choices")


def _request(
    prefix: list[Piece], number: int, lengths: np.random.Generator, options: SyntheticOptions
) -> TraceRow:
    own = Piece(f"request {number}", options.input_tokens.draw_count(lengths))
    return _row([*prefix, own], options.output_tokens.draw_count(lengths), options)


def _row(prompt: list[Piece], answered: int, options: SyntheticOptions) -> TraceRow:
    return TraceRow(
        input_length=sum(piece.tokens for piece in prompt),
        output_length=answered,
        hash_ids=hash_ids(prompt, options.block_size),
        block_size=options.block_size,
    )
