"""``vllm sim trace check``: read a whole trace for its errors."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any

import msgspec

from ..trace.check import CheckReport, check_rows
from ..trace.formats import open_rows
from ..trace.tokens import RowTokenizer
from .trace_options import add_input_options, read_options, tokens_line


def add_parser(verbs: Any) -> tuple[argparse.ArgumentParser, Callable[[argparse.Namespace], int]]:
    parser = verbs.add_parser(
        "check", help="read a whole trace for its errors", description=__doc__
    )
    add_input_options(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser, run


def run(args: argparse.Namespace) -> int:
    tokenizer = RowTokenizer(args.tokenizer) if args.tokenizer else None
    form, reader = open_rows(args.input, args.from_format, read_options(args))
    with closing(reader):
        report = check_rows(reader, form.name, tokenizer)
    if args.json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    else:
        print(as_text(report, form.title))
    return 0


def as_text(report: CheckReport, title: str) -> str:
    """The report, one fact a line."""
    lines = [f"{report.path}: {title}, no errors", f"rows           {report.rows:,}"]
    for label, kinds in (("prompts", report.prompts), ("answers", report.answers)):
        lines.append(f"{label:14} " + ", ".join(f"{n:,} {kind}" for kind, n in kinds.items()))
    for label, column in (
        ("input tokens", report.input_tokens),
        ("output tokens", report.output_tokens),
    ):
        if column is not None:
            lines.append(tokens_line(label, column))
    if report.tokens_unknown:
        lines.append(
            f"not counted    the text of {report.tokens_unknown:,} rows (give --tokenizer DIR)"
        )
    if report.timestamps:
        lines.append(f"timestamps     on {report.timestamps:,} rows, in order")
    if report.sessions:
        lines.append(f"sessions       {report.sessions:,}")
    lines.append(f"duplicates     {_duplicates(report)}")
    if report.unknown_fields:
        lines.append(f"unknown fields {', '.join(report.unknown_fields)} (kept, not used)")
    return "\n".join(lines)


def _duplicates(report: CheckReport) -> str:
    found = report.duplicates
    if not found.rows:
        return "none"
    return (
        f"{found.rows:,} rows repeat the prompt of an earlier row, {found.other_answer:,} of them "
        f"with another answer (first: row {found.first_row} repeats row {found.first_repeats})"
    )
