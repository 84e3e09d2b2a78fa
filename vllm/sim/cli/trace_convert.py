"""``vllm sim trace convert``: one trace format to another."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from ..trace.convert import ConvertOptions, ConvertReport, convert
from ..trace.formats import FORMATS, WriteOptions
from ..trace.tokens import RowTokenizer
from .trace_options import add_input_options, positive_int, read_options


def add_parser(verbs: Any) -> tuple[argparse.ArgumentParser, Callable[[argparse.Namespace], int]]:
    parser = verbs.add_parser("convert", help="one trace format to another", description=__doc__)
    add_input_options(parser)
    parser.add_argument(
        "--to", dest="to_format", default="vllm-sim",
        choices=[form.name for form in FORMATS.values() if form.writer],
        help="the format of FILE (default: vllm-sim)",
    )  # fmt: skip
    parser.add_argument(
        "--out", required=True, metavar="FILE", type=Path, help="the file to write; .gz is packed"
    )
    parser.add_argument("--sort", action="store_true", help="sort the rows by timestamp")
    parser.add_argument("--session", metavar="ID", help="keep the rows of this session only")
    parser.add_argument(
        "--block-size", type=positive_int, metavar="N",
        help="tokens a hash id stands for in FILE, where its format leaves that open",
    )  # fmt: skip
    parser.add_argument(
        "--unshared", action="store_true",
        help="where a format needs hash ids and IN has none: say that prompts share nothing",
    )  # fmt: skip
    parser.add_argument(
        "--start-time", metavar="TIME", help="wall clock of timestamp 0, for --to azure"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser, run


def run(args: argparse.Namespace) -> int:
    options = ConvertOptions(
        sort=args.sort,
        unshared=args.unshared,
        session=args.session,
        tokenizer=RowTokenizer(args.tokenizer) if args.tokenizer else None,
        read=replace(read_options(args), sorting=args.sort),
        write=WriteOptions(block_size=args.block_size, start_time=args.start_time),
    )
    report = convert(args.input, args.from_format, args.out, args.to_format, options)
    if args.json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    else:
        print(as_text(report))
    return 0


def as_text(report: ConvertReport) -> str:
    lines = [f"{report.path}: {report.rows:,} rows, {report.source_format} to "
             f"{report.target_format}"]  # fmt: skip
    lines += [f"left out: {name} of {n:,} rows" for name, n in sorted(report.left_out.items())]
    lines += [f"note: {n:,} {what}" for what, n in sorted(report.notes.items())]
    return "\n".join(lines)
