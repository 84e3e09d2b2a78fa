"""``vllm sim trace stats``: what a trace's traffic looks like."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from ..trace.formats import open_rows
from ..trace.stats import TraceStats, trace_stats
from ..trace.tokens import RowTokenizer
from .trace_options import add_input_options, positive_int, read_options, tokens_line


def add_parser(verbs: Any) -> tuple[argparse.ArgumentParser, Callable[[argparse.Namespace], int]]:
    parser = verbs.add_parser(
        "stats", help="arrivals, lengths, turns and prefix reuse", description=__doc__
    )
    add_input_options(parser)
    parser.add_argument(
        "--block-size", type=positive_int, default=16, metavar="N",
        help="block size for the reuse of prompts that have tokens, not hash ids (default: 16)",
    )  # fmt: skip
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw a picture: .png, .svg or .pdf"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser, run


def run(args: argparse.Namespace) -> int:
    tokenizer = RowTokenizer(args.tokenizer) if args.tokenizer else None
    form, reader = open_rows(args.input, args.from_format, read_options(args))
    with closing(reader):
        stats, columns = trace_stats(reader, form.name, tokenizer, args.block_size)
    if args.plot is not None:
        from ..trace.picture import draw

        draw(stats, columns, args.plot)
    if args.json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(stats)) + b"\n")
    else:
        print(as_text(stats, form.title))
    return 0


def as_text(stats: TraceStats, title: str) -> str:
    """The statistics, one fact a line; "unknown" where the trace does not say."""
    lines = [f"{stats.path}: {title}", f"rows           {stats.rows:,}"]
    if (arrivals := stats.arrivals) is None:
        lines.append("arrivals       unknown: no timestamps")
    else:
        text = f"span {arrivals.span_s:,.0f} s"
        if arrivals.rate is not None and arrivals.cv is not None:
            text += f", {arrivals.rate:,.2f} requests/s, CV of the gaps {arrivals.cv:.2f}"
        lines.append(f"arrivals       {text}")
    lines.append(tokens_line("input tokens", stats.input_tokens))
    lines.append(tokens_line("output tokens", stats.output_tokens))
    if (turns := stats.turns) is None:
        lines.append("turns          no sessions")
    else:
        text = f"{turns.sessions:,} sessions, mean {turns.mean:.1f} turns, max {turns.max:,}"
        if turns.think_time_s is not None:
            think = turns.think_time_s
            text += f", think time mean {think.mean:.1f} s, p95 {think.p95:.1f} s"
        lines.append(f"turns          {text}")
    if (reuse := stats.reuse) is None:
        lines.append(
            "prefix reuse   unknown: no hash ids or tokens (give --tokenizer DIR for text)"
        )
    else:
        lines.append(
            f"prefix reuse   {reuse.share:.1%} of {reuse.input_tokens:,} input tokens under an "
            f"infinite cache ({reuse.distinct_blocks:,} distinct blocks)"
        )
    return "\n".join(lines)
