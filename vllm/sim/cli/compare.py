"""``compare``: two or more runs side by side."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..errors import SettingsError

_TEXT = (
    "Hold runs side by side: what was set differently, how each figure moved against the first "
    "run, and where the schedules first part."
)


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser("compare", help=_TEXT, description=_TEXT)
    parser.add_argument(
        "folders", metavar="DIR", nargs="+", type=Path, help="the folder of a replay or a recording"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--html", metavar="FILE", type=Path, help="write a page as well")
    parser.set_defaults(func=_run)


def _run(args: argparse.Namespace) -> int:
    from ..metrics.compare import Run, compare_runs
    from ..metrics.compare_steps import first_parting
    from ..metrics.folder import read_requests, read_summary
    from ..report.compare import comparison_json, print_comparison
    from ..step_log import read_steps, step_log_path
    from .console import console

    if len(args.folders) < 2:
        raise SettingsError("compare needs two folders or more")
    runs = [
        Run(name, folder, read_summary(folder), {one.id: one for one in read_requests(folder)})
        for name, folder in zip(_names(args.folders), args.folders, strict=True)
    ]
    first = step_log_path(args.folders[0])
    partings = [
        first_parting(read_steps(first), read_steps(step_log_path(folder)))
        for folder in args.folders[1:]
    ]
    comparison = compare_runs(runs, partings)
    if args.json:
        print(json.dumps(comparison_json(comparison), indent=2, ensure_ascii=False))
    else:
        print_comparison(comparison, console())
    if args.html:
        from ..report.page_compare import write_comparison

        write_comparison(comparison, args.html)
    return 0


def _names(folders: list[Path]) -> list[str]:
    """The last parts of the paths, as many as it takes to tell them apart."""
    parts = [folder.resolve().parts for folder in folders]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(one[-length:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]
