"""What memory a replay takes, by the number of rows in its trace.

    python tests/bench/replay_memory.py [--rows 10000 100000 1000000]

Each trace is replayed by `vllm-sim replay` in a process of its own, whose peak is printed: short
requests, 2,000 a second. What is left when the smallest
is taken off is what rows cost.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.paths import DEMO_MODEL

RATE = 2000.0


def write_rows(path: Path, rows: int) -> None:
    source, at_s = random.Random(0), 0.0
    with path.open("w") as file:
        for _ in range(rows):
            at_s += source.expovariate(RATE)
            row = {
                "input_length": source.randint(8, 64), "output_length": source.randint(1, 10),
                "timestamp": round(at_s, 6),
            }  # fmt: skip
            file.write(json.dumps(row) + "\n")


def replayed(trace: Path, out: Path) -> float:
    """Peak memory in MiB."""
    words = [
        Path(sys.executable).with_name("vllm-sim"), "replay", trace, "--model", DEMO_MODEL,
        "--sim-device", "h100_sxm", "--sim-latency", "constant:step=10ms", "--max-model-len",
        "2048", "--num-gpu-blocks-override", "4096", "--no-report", "--out", out,
    ]  # fmt: skip
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"the replay of {trace} failed")
    return usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for rows in args.rows:
            trace, out = Path(folder) / "trace.jsonl", Path(folder) / "run"
            write_rows(trace, rows)
            peak_mib = replayed(trace, out)
            summary = json.loads((out / "summary.json").read_text())
            written_mib = sum(path.stat().st_size for path in out.iterdir()) / 2**20
            print(
                f"{rows:>9,} rows: peak {peak_mib:,.0f} MiB, {summary['wall_seconds']:.0f} s, "
                f"{summary['steps']:,} steps, {summary['simulated_seconds']:.0f} simulated s, "
                f"{written_mib:,.0f} MiB written, at most {summary['peak_running']} running",
                flush=True,
            )


if __name__ == "__main__":
    main()
