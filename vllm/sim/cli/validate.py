"""``validate``: a recorded run against its simulation."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..metrics.folder import read_requests, read_summary
from ..report.validation import compare, comparison_json, comparison_table
from ..report.validation_picture import draw_comparison
from .engine_options import start_vllm

_TEXT = (
    "Replay the arrivals of a recorded run on a simulated engine of the recorded configuration, "
    "and put real and simulated figures side by side, with signed errors."
)


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser("validate", help=_TEXT, description=_TEXT)
    parser.add_argument(
        "recorded", metavar="RECORDED", type=Path, help="a folder made by vllm sim record"
    )
    parser.add_argument(
        "--sim-latency", metavar="MODEL", required=True,
        help="step times: a file made by vllm sim calibrate, or a model's name",
    )  # fmt: skip
    parser.add_argument(
        "--sim-device", metavar="NAME|FILE",
        help="the device to simulate (default: the recorded one, where it was a CPU)",
    )  # fmt: skip
    parser.add_argument(
        "--out", metavar="DIR", type=Path,
        help="the folder for validation.json, validation.png and the simulated run "
        "(default: RECORDED/validation)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print validation.json, not the table")
    parser.set_defaults(func=_run)


def _run(args: argparse.Namespace) -> int:
    real = read_summary(args.recorded)
    out: Path = args.out or args.recorded / "validation"
    start_vllm()
    from ..engine.replay_recorded import replay_recorded

    simulated = replay_recorded(args.recorded, out, args.sim_latency, args.sim_device)
    figures = compare(real, simulated)
    content = comparison_json(
        figures,
        recorded=str(args.recorded),
        latency=simulated["latency"],
        in_domain_share=simulated["in_domain_share"],
    )
    text = json.dumps(content, indent=2) + "\n"
    (out / "validation.json").write_text(text, encoding="utf-8")
    draw_comparison(
        read_requests(args.recorded), read_requests(out),
        f"{args.recorded.name}: real and simulated", out / "validation.png",
    )  # fmt: skip
    print(text if args.json else comparison_table(figures), end="" if args.json else "\n")
    return 0 if simulated["complete"] else 130
