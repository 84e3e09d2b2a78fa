"""Record, fit and validate on this machine's CPU, with a random model of 20M parameters.

    python tests/bench/cpu_accuracy.py --out FOLDER [--repeats 5]

Two workloads are recorded to fit on, three others to validate on: another rate and other
lengths, shared prefixes, and a KV cache so small that requests are preempted. Every workload is
recorded several times, in turns: what the recordings of the same requests differ by is the noise
floor, which no simulation can be held to beat, and the mean over them is what the simulation is
held against. Runs `vllm-sim` as a user would, on one core. A folder that holds some of the
recordings is gone on with.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.models import save_tiny_llama
from support.traces import write_trace

from vllm.sim.metrics.folder import read_requests
from vllm.sim.records import RequestRecord
from vllm.sim.report.validation_picture import draw_comparison

# In 32 bits: with bfloat16, 50 fresh tokens took 10 ms where each prompt had its own length, and 7
# where lengths recurred (vLLM keeps the CPU kernels of the last 32 numbers of tokens). That is
# history, which no model of a step knows of.
ENGINE = (
    "--dtype", "float32", "--enforce-eager", "--block-size", "32", "--max-model-len", "2048",
    "--max-num-seqs", "16", "--max-num-batched-tokens", "512", "--gpu-memory-utilization", "0.3",
)  # fmt: skip
MODEL = {"layers": 4, "hidden": 640, "heads": 10, "kv_heads": 5, "intermediate": 1792}
SECONDS = 30  # of arrivals
PLENTY, SCARCE = "400", "68"  # KV blocks of 32 tokens; a full-length request takes 64
KEYS = [
    f"{statistic}_{name}_ms"
    for name in ("ttft", "tpot", "e2el")
    for statistic in ("mean", "median", "p99")
] + ["output_throughput"]
COUNTS = ("preemptions", "prefix_cache_hit_rate", "steps")


def rows(
    seed: int, requests: int, rate: float, prompt: tuple[int, int], answer: tuple[int, int],
    prefixes: int = 0,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Poisson arrivals; with `prefixes`, each prompt begins with one of as many of 256 tokens."""
    source, at_s = random.Random(seed), 0.0
    for number in range(requests):
        at_s += source.expovariate(rate)
        row: dict[str, Any] = {
            "input_length": source.randint(*prompt), "output_length": source.randint(*answer),
            "timestamp": round(at_s, 6),
        }  # fmt: skip
        if prefixes:
            first = 8 * source.randrange(prefixes)
            row["input_length"] += 256
            row["hash_ids"] = [*range(first, first + 8), 10_000 + number]
            row["block_size"] = 32
        yield row


WORKLOADS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "fit-a": ("fit", PLENTY, {"rate": 6.0, "prompt": (20, 300), "answer": (5, 120)}),
    "fit-b": ("fit", PLENTY, {"rate": 7.0, "prompt": (20, 400), "answer": (10, 60), "prefixes": 5}),
    "lengths": ("test", PLENTY, {"rate": 4.0, "prompt": (100, 400), "answer": (20, 150)}),
    "prefixes": (
        "test", PLENTY, {"rate": 9.0, "prompt": (20, 80), "answer": (10, 80), "prefixes": 4},
    ),
    "kv-full": ("test", SCARCE, {"rate": 4.5, "prompt": (100, 250), "answer": (60, 180)}),
}  # fmt: skip


def tool(*words: object) -> str:
    script = Path(sys.executable).with_name("vllm-sim")
    environ = {**os.environ, "VLLM_CPU_OMP_THREADS_BIND": str(max(os.sched_getaffinity(0)))}
    done = subprocess.run(
        [script, *map(str, words)], env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}\n{done.stderr[-3000:]}")
    return done.stdout


def record(folder: Path, model: Path, name: str, repeat: int) -> Path:
    _, blocks, shape = WORKLOADS[name]
    out = folder / f"{name}-{repeat}"
    if not (out / "summary.json").is_file():
        seed = list(WORKLOADS).index(name)
        requests = round(SECONDS * shape["rate"])
        trace = write_trace(folder / f"{name}.jsonl", rows(seed, requests, **shape))
        tool("record", trace, "--model", model, *ENGINE, "--num-gpu-blocks-override", blocks,
             "--out", out)  # fmt: skip
        print(f"recorded {out.name}", flush=True)
    return out


def summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())


def records(runs: Iterable[Path]) -> Iterator[RequestRecord]:
    for run in runs:
        yield from read_requests(run)


def table(real: Sequence[dict[str, Any]], simulated: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A line a figure: means over the recordings, what they are off by, and the noise."""
    yield f"  {'':<22}{'real':>10}{'simulated':>11}{'error':>10}{'one recording':>16}"
    for key in KEYS:
        of_real, of_simulated = ([run[key] for run in runs] for runs in (real, simulated))
        mean = statistics.mean(of_real)
        error = statistics.mean(of_simulated) / mean - 1
        # Half the width of the band that two thirds of single recordings lie in.
        spread = statistics.stdev(of_real) / mean if len(of_real) > 1 else math.nan
        yield (
            f"  {key:<22}{mean:>10.3f}{statistics.mean(of_simulated):>11.3f}"
            f"{100 * error:>+8.2f} %{100 * spread:>11.2f} %"
        )
    for key in COUNTS:
        of_real, of_simulated = ([run[key] for run in runs] for runs in (real, simulated))
        yield f"  {key:<22}{statistics.mean(of_real):>10.4g}{statistics.mean(of_simulated):>11.4g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    folder: Path = args.out
    folder.mkdir(parents=True, exist_ok=True)
    model = save_tiny_llama(folder / "model", **MODEL)
    # The workloads take turns, so that a busy minute of the machine does not hit one of them.
    runs = [
        (name, record(folder, model, name, repeat))
        for repeat in range(args.repeats)
        for name in WORKLOADS
    ]
    fitted = [run for name, run in runs if WORKLOADS[name][0] == "fit"]
    print(tool("calibrate", *fitted, "--out", folder / "fit.json"))
    for name in (name for name, (use, _, _) in WORKLOADS.items() if use == "test"):
        recorded = [run for of, run in runs if of == name]
        for run in recorded:
            tool("validate", run, "--sim-latency", folder / "fit.json")
        print(f"{name}: means of {len(recorded)} recordings, and how far one lies from them")
        simulated = [summary(run / "validation") for run in recorded]
        print("\n".join(table([summary(run) for run in recorded], simulated)), flush=True)
        draw_comparison(
            records(recorded), records(run / "validation" for run in recorded),
            f"{name}: {len(recorded)} recordings, and their replays", folder / f"{name}.png",
        )  # fmt: skip


if __name__ == "__main__":
    main()
