"""``timeline``: the steps of a run, in the terminal, as a picture, for Perfetto."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SettingsError
from ..metrics.folder import REQUESTS, read_requests
from ..records import RequestRecord, StepRecord
from ..step_log import read_steps, step_log_path
from .console import console as make_console

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_TEXT = "Show what the scheduler did, step by step, in a run's folder (steps.jsonl)."
_MOST_ROWS = 200


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser("timeline", help=_TEXT, description=_TEXT)
    parser.add_argument("folder", metavar="DIR", type=Path, help="a replay, a recording, a log")
    parser.add_argument(
        "--steps", metavar="FROM:TO", type=_range, default=(0, None),
        help="only these steps, the last one included",
    )  # fmt: skip
    parser.add_argument(
        "--requests", action="store_true", help="a line for each request instead of each step"
    )
    parser.add_argument(
        "--unfold", action="store_true", help="each step on its own row, also where nothing changes"
    )
    parser.add_argument("--follow", action="store_true", help="go on with what a server writes")
    parser.add_argument("--png", metavar="FILE", type=Path, help="draw a picture (.png, .svg)")
    parser.add_argument(
        "--perfetto", metavar="FILE", type=Path, help="write a trace for ui.perfetto.dev (JSON)"
    )
    parser.add_argument("--html", metavar="FILE", type=Path, help="write a page of the whole run")
    parser.add_argument(
        "--rank", metavar="N", type=int, default=0, help="which engine of a data-parallel server"
    )
    parser.set_defaults(func=_run)


def _range(text: str) -> tuple[int, int | None]:
    first, colon, last = text.partition(":")
    try:
        low = int(first or 0)
        return low, (int(last) if last else None) if colon else low
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not FROM:TO") from None


def _run(args: argparse.Namespace) -> int:
    log = step_log_path(args.folder, args.rank)
    if args.follow:
        if args.png or args.perfetto or args.html or args.requests:
            raise SettingsError("--follow shows steps only; draw the run when it has ended")
        _follow(log, args)
        return 0
    if args.png or args.perfetto or args.html:
        _write_files(log, args)
    elif args.requests:
        _show_requests(log, args)
    else:
        _show_steps(log, args)
    return 0


def _print(console: Console, line: Text) -> None:
    """A line of ours stays one line, whatever the terminal's width."""
    line.rstrip()
    console.print(line, no_wrap=True, overflow="ellipsis", crop=True)


def _selected(log: Path, args: argparse.Namespace) -> Iterator[StepRecord]:
    first, last = args.steps
    for step in read_steps(log):
        if last is not None and step.step > last:
            return
        if step.step >= first:
            yield step


def _requests(folder: Path) -> Iterator[RequestRecord]:
    """A server's step log stands alone."""
    return read_requests(folder) if (folder / REQUESTS).exists() else iter(())


def _show_steps(log: Path, args: argparse.Namespace) -> None:
    from ..report.timeline import header, most_tokens_of, row_text
    from ..report.timeline_rows import rows_of

    console = make_console()
    # One row more than is shown tells whether there are more, and the rest need not be read.
    every = rows_of(read_steps(log), not args.unfold, *args.steps)
    rows = list(islice(every, _MOST_ROWS + 1))
    shown = rows[:_MOST_ROWS]
    most = most_tokens_of(shown)
    _print(console, header(console.width))
    for row in shown:
        _print(console, row_text(row, most, console.width))
    if len(rows) > len(shown):
        after = shown[-1].last + 1
        console.print(f"more follows: --steps {after}: shows it, --png FILE draws the whole run")


def _show_requests(log: Path, args: argparse.Namespace) -> None:
    from ..report.timeline_lives import Lives
    from ..report.timeline_requests import request_lines

    console = make_console()
    lives = Lives(_requests(args.folder))
    last = -1
    for step in read_steps(log):
        lives.add(step)
        last = step.step
    first, until = args.steps
    until = last if until is None else min(until, last)
    shown = [
        life
        for life in lives.all()
        if any(span.first_step <= until and span.last_step >= first for span in life.spans)
    ]
    for line in request_lines(shown[:_MOST_ROWS], first, until, console.width):
        _print(console, line)
    if len(shown) > _MOST_ROWS:
        console.print(f"and {len(shown) - _MOST_ROWS} more requests: narrow it with --steps")


def _follow(log: Path, args: argparse.Namespace) -> None:
    from rich.live import Live
    from rich.text import Text

    from ..report.timeline import header, row_text
    from ..report.timeline_follow import follow_steps
    from ..report.timeline_rows import RowMaker

    console = make_console()
    maker, most = RowMaker(fold=not args.unfold), 1
    _print(console, header(console.width))
    try:
        with Live(Text(""), console=console, auto_refresh=False, transient=True) as live:
            for records in follow_steps(log):
                for step in records:
                    most = max(most, sum(one.new_tokens for one in step.requests))
                    if (row := maker.add(step)) is not None:
                        _print(console, row_text(row, most, console.width))
                if records and maker.open is not None and console.is_terminal:
                    live.update(row_text(maker.open, most, console.width), refresh=True)
    except KeyboardInterrupt:
        if maker.open is not None:
            _print(console, row_text(maker.open, most, console.width))


def _write_files(log: Path, args: argparse.Namespace) -> None:
    from ..report.timeline_lives import Lives
    from ..report.timeline_series import StepSeries

    lives, series = Lives(_requests(args.folder)), StepSeries()
    if args.perfetto:
        from ..report.perfetto import write_perfetto

        events = write_perfetto(args.perfetto, _selected(log, args), _requests(args.folder))
        print(f"{args.perfetto}: {events} events; open it in https://ui.perfetto.dev")
    if args.png:
        from ..report.charts import draw_timeline

        for step in _selected(log, args):
            lives.add(step)
            series.add(step)
        draw_timeline(series, lives.all(), args.folder.name, args.png)
        print(f"{args.png}: {len(series)} steps, {len(lives.all())} requests")
    if args.html:
        from ..report.page_report import write_report

        print(write_report(args.folder, args.html, args.rank))
