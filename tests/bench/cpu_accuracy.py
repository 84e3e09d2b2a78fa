"""Record, fit and validate on this machine's CPU, with a random model of 29M parameters.

    python tests/bench/cpu_accuracy.py --out FOLDER [--repeats 2]

Two workloads are recorded to fit on, three others to validate on: another rate and other
lengths, shared prefixes, and a KV cache so small that requests are preempted. Every validation
workload is recorded several times: what two recordings of the same requests differ by is the
noise floor, which no simulation can be held to beat. Runs `vllm-sim` as a user would, on one core.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.models import save_tiny_llama
from support.traces import write_trace

ENGINE = (
    "--dtype", "float32", "--enforce-eager", "--block-size", "32", "--max-model-len", "2048",
    "--max-num-seqs", "16", "--max-num-batched-tokens", "512", "--gpu-memory-utilization", "0.3",
)  # fmt: skip
PLENTY, SCARCE = "400", "68"  # KV blocks of 32 tokens; a full-length request takes 64
KEYS = [
    f"{statistic}_{name}_ms"
    for name in ("ttft", "tpot", "e2el")
    for statistic in ("mean", "median", "p99")
] + ["output_throughput"]


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
    "fit-a": ("fit", PLENTY, {"rate": 2.0, "prompt": (20, 300), "answer": (5, 120)}),
    "fit-b": ("fit", PLENTY, {"rate": 3.0, "prompt": (50, 500), "answer": (10, 60), "prefixes": 5}),
    "lengths": ("test", PLENTY, {"rate": 1.5, "prompt": (100, 400), "answer": (20, 150)}),
    "prefixes": (
        "test", PLENTY, {"rate": 4.0, "prompt": (20, 80), "answer": (10, 80), "prefixes": 4},
    ),
    "kv-full": ("test", SCARCE, {"rate": 2.0, "prompt": (100, 250), "answer": (60, 180)}),
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
    seed = list(WORKLOADS).index(name)
    trace = write_trace(folder / f"{name}.jsonl", rows(seed, 100, **shape))
    out = folder / f"{name}-{repeat}"
    tool("record", trace, "--model", model, *ENGINE, "--num-gpu-blocks-override", blocks,
         "--out", out)  # fmt: skip
    print(f"recorded {out.name}", flush=True)
    return out


def summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())


def percent(value: float, of: float) -> str:
    return f"{100 * (value / of - 1):+7.2f}" if of else "      -"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=2)
    args = parser.parse_args()
    folder: Path = args.out
    folder.mkdir(parents=True, exist_ok=True)
    model = save_tiny_llama(
        folder / "model", layers=8, hidden=512, heads=8, kv_heads=4, intermediate=1536
    )
    # The workloads take turns, so that a busy minute of the machine does not hit one of them.
    runs = [
        (name, repeat, record(folder, model, name, repeat))
        for repeat in range(args.repeats)
        for name in WORKLOADS
    ]
    fitted = [run for name, _, run in runs if WORKLOADS[name][0] == "fit"]
    print(tool("calibrate", *fitted, "--out", folder / "fit.json"))
    tests = [name for name, (use, _, _) in WORKLOADS.items() if use == "test"]
    for name in tests:
        real = [run for of, _, run in runs if of == name]
        for run in real:
            tool("validate", run, "--sim-latency", folder / "fit.json")
        print(f"{name}: error of the simulation of each recording, in %; and the second "
              "recording against the first")  # fmt: skip
        for key in KEYS:
            errors = [
                percent(summary(run / "validation")[key], summary(run)[key]) for run in real
            ]
            noise = [percent(summary(other)[key], summary(real[0])[key]) for other in real[1:]]
            print(f"  {key:<20} {' '.join(errors)}   | {' '.join(noise)}")
        for key in ("preemptions", "prefix_cache_hit_rate", "steps"):
            pairs = [f"{summary(run)[key]:.4g} / {summary(run / 'validation')[key]:.4g}"
                     for run in real]  # fmt: skip
            print(f"  {key:<24} real / simulated: {', '.join(pairs)}")


if __name__ == "__main__":
    main()
