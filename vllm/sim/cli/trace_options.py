"""The options that the ``trace`` verbs share."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..trace.formats import FORMATS, ReadOptions
from ..trace.summary import Summary


def add_input_options(parser: argparse.ArgumentParser) -> None:
    """IN, and what it does not say about itself."""
    parser.add_argument("input", metavar="IN", type=Path, help="the file to read; .gz is unpacked")
    parser.add_argument(
        "--from", dest="from_format", choices=("auto", *FORMATS), default="auto",
        help="the format of IN (default: auto, told from its start)",
    )  # fmt: skip
    parser.add_argument(
        "--time-unit", choices=("s", "ms", "us", "ns"),
        help="unit of IN's timestamps, where its format leaves that open",
    )  # fmt: skip
    parser.add_argument(
        "--hash-block-size", type=positive_int, metavar="N",
        help="tokens that one of IN's hash ids stands for, where its format leaves that open",
    )  # fmt: skip
    parser.add_argument(
        "--renumber", action="store_true",
        help="number conversations instead of using their ids (which may repeat)",
    )  # fmt: skip
    parser.add_argument(
        "--tokenizer", metavar="DIR", type=Path,
        help="a model folder with tokenizer.json, to count the tokens of text",
    )  # fmt: skip


def read_options(args: argparse.Namespace) -> ReadOptions:
    return ReadOptions(
        block_size=args.hash_block_size, time_unit=args.time_unit, renumber=args.renumber
    )


def positive_int(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, is {number}")
    return number


def tokens_line(label: str, column: Summary | None) -> str:
    """A column of token counts, for people."""
    if column is None:
        return f"{label:14} unknown (give --tokenizer DIR to count text)"
    return (
        f"{label:14} mean {column.mean:,.0f}, p50 {column.p50:,.0f}, p95 {column.p95:,.0f}, "
        f"max {column.max:,.0f}, total {column.total:,.0f}"
    )
