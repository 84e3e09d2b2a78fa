"""How well a fitted step time does on 20,112 measured steps of an H100 server.

    python tests/bench/h100_steps.py [FOLDER]

FOLDER holds the CSV files (default: ../shared/data/groundtruth/h100_steps beside the
repository): vLLM 0.15.1, H100, Llama-2-70b on four GPUs and CodeLlama-34b on two. Each file
is fitted on four fifths of its steps and tested on the rest, twice: on the rows that timed one
step, and on those that timed the mean of a few.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

from vllm.sim.latency.fit import FitReport, Sample, fit_steps
from vllm.sim.records import Composition

DEFAULT_FOLDER = Path(__file__).resolve().parents[3] / "shared/data/groundtruth/h100_steps"
TOO_LONG_US = 100_000  # the data's own advice: idle time, not steps
FEW_STEPS = 5  # between two samples; over more, the batch has changed too much


def read_samples(path: Path, single: bool, decode_only: bool) -> Iterator[Sample]:
    """The file's steps, in the order in which they ran.

    The files have no depth of prefills, so a prefill counts as if it began at token 0;
    and the KV tokens are those of the blocks in use.
    """
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            text = row["cycle_us"] if single else row["mean_step_us"]
            if not text or not 0 < float(text) < TOO_LONG_US or row["running"] == "0":
                continue
            if not single and float(row["steps_to_next"]) > FEW_STEPS:
                continue
            prefill_tokens = int(row["prefill_tokens"])
            if decode_only and prefill_tokens:
                continue
            batch = Composition(
                prefills=int(row["num_prefill_reqs"]),
                prefill_tokens=prefill_tokens,
                prefill_cached_tokens=0,
                prefill_pairs=prefill_tokens * (prefill_tokens + 1) // 2,
                decodes=int(row["num_decode_reqs"]),
                decode_kv_tokens=int(row["kv_used_tokens"]),
            )
            yield batch, round(float(text) * 1000)


def main(folder: Path) -> None:
    files = sorted(folder.glob("*.csv"))
    if not files:
        sys.exit(f"{folder}: no CSV files; give the folder that holds the measured steps")
    print("errors on held-out steps, in %")
    print(f"{'file':44s} {'rows':14s} {'steps':>6s} {'mean':>6s} {'median':>6s} {'p90':>6s} "
          f"{'p99':>6s} {'total':>6s} {'stalls':>6s}")  # fmt: skip
    reports: list[FitReport] = []
    for path in files:
        for single in (True, False):
            for decode_only in (True, False):
                _, report = fit_steps(read_samples(path, single, decode_only), [path.name])
                reports.append(report)
                rows = ("one step" if single else "mean of <=5").ljust(12)
                print_row(path.stem[:44], rows + ("d" if decode_only else ""), report)
    print("d: steps without prefill only. stalls: left out, over three times the fit.")


def print_row(name: str, rows: str, report: FitReport) -> None:
    held = report.held_out
    numbers = (
        held.mean_abs_error,
        held.median_abs_error,
        held.p90_abs_error,
        held.p99_abs_error,
        held.total_time_error,
    )
    cells = " ".join(f"{100 * number:6.2f}" for number in numbers)
    print(f"{name:44s} {rows:14s} {held.steps:6d} {cells} {report.stalls:6d}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FOLDER)
