"""A replay against 300 requests that were measured on an RTX PRO 6000.

    python tests/bench/rtxpro6000.py [--data FOLDER] [--out FOLDER]

FOLDER holds `groundtruth/rtxpro6000_llama31_8b` (Llama-3.1-8B, vLLM 0.19) and `model_configs`
(default: ../shared/data beside the repository). Needs aiconfigurator-core. One number, the host
time of a step, is fitted on every other request, so that their mean TPOT is met, and the rest is
looked at; the first table is without any fit.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vllm.engine.arg_utils import EngineArgs

from vllm.sim.cli.engine_options import start_vllm
from vllm.sim.engine.replay_run import RunOptions, replay
from vllm.sim.metrics.folder import read_requests
from vllm.sim.metrics.requests import RequestTally
from vllm.sim.metrics.steps import StepTally
from vllm.sim.metrics.summary import summarize
from vllm.sim.records import RequestRecord
from vllm.sim.report.validation import compare, comparison_table
from vllm.sim.report.validation_picture import draw_comparison

DEFAULT_DATA = Path(__file__).resolve().parents[3] / "shared/data"
NS_PER_S = 10**9
_NOT_MEASURED = ("busy_seconds", "steps", "preemptions", "prefix_cache_hit_rate")


def measured(folder: Path) -> list[RequestRecord]:
    """The measured requests, in the order of arrival. Gaps between tokens are not known."""
    lines = [json.loads(line) for line in (folder / "requests.jsonl").open()]
    start_s = min(line["queued_ts"] for line in lines)

    def ns(seconds: float) -> int:
        return round((seconds - start_s) * NS_PER_S)

    return [
        RequestRecord(
            id=f"r{number}", arrival_ns=ns(line["queued_ts"]), prompt_tokens=line["input_toks"],
            output_tokens=line["output_toks"], cached_tokens=0, preemptions=0,
            finish_reason="length", first_token_ns=ns(line["first_token_ts"]),
            end_ns=ns(line["last_token_ts"]),
        )
        for number, line in enumerate(sorted(lines, key=lambda line: line["queued_ts"]))
    ]  # fmt: skip


def write_trace(folder: Path, requests: list[RequestRecord], path: Path) -> None:
    """The requests with their prompts, at the measured arrivals."""
    with gzip.open(folder / "workload.jsonl.gz", "rt") as file:
        prompts = [json.loads(line) for line in file]
    with path.open("w") as file:
        for prompt, request in zip(prompts, requests, strict=True):
            assert (prompt["input_toks"], prompt["output_toks"]) == (
                request.prompt_tokens, request.output_tokens,
            )  # fmt: skip
            row = {
                "prompt_token_ids": prompt["input_tok_ids"], "output_length": request.output_tokens,
                "max_tokens": request.output_tokens, "timestamp": request.arrival_ns / NS_PER_S,
            }  # fmt: skip
            file.write(json.dumps(row) + "\n")


def summary_of(requests: list[RequestRecord]) -> dict[str, Any]:
    tally = RequestTally()
    for request in requests:
        tally.add(request)
    return summarize(tally, StepTally())


def compared(real: list[RequestRecord], simulated: list[RequestRecord]) -> str:
    figures = compare(summary_of(real), summary_of(simulated))
    return comparison_table(
        [one for one in figures if one.key not in _NOT_MEASURED and "_itl_" not in one.key]
    )


def mean_tpot_ms(requests: list[RequestRecord]) -> float:
    return statistics.mean(one.tpot_ns for one in requests if one.tpot_ns is not None) / 1e6


def fit_host_us(
    run: Callable[[float], list[RequestRecord]], real: list[RequestRecord]
) -> tuple[float, list[RequestRecord]]:
    """The host time at which the mean TPOT of every other request is the measured one."""
    target_ms, half = mean_tpot_ms(real[::2]), slice(None, None, 2)
    points = [(host_us, run(host_us)) for host_us in (2000.0, 4000.0)]
    for _ in range(3):
        (x0, low), (x1, high) = points[-2:]
        y0, y1 = mean_tpot_ms(low[half]), mean_tpot_ms(high[half])
        if abs(y1 - target_ms) / target_ms < 1e-4:
            break
        host_us = round(x1 + (target_ms - y1) * (x1 - x0) / (y1 - y0), 1)
        points.append((host_us, run(host_us)))
    return points[-1]


@contextmanager
def working_folder(out: Path | None) -> Iterator[Path]:
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        yield out
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--out", type=Path, help="keep the runs and the picture there")
    args = parser.parse_args()
    truth = args.data / "groundtruth" / "rtxpro6000_llama31_8b"
    start_vllm()
    real = measured(truth)
    with working_folder(args.out) as folder:
        model = folder / "model"
        model.mkdir(exist_ok=True)
        config = args.data / "model_configs" / "meta-llama--Meta-Llama-3.1-8B_config.json"
        shutil.copy(config, model / "config.json")
        write_trace(truth, real, folder / "trace.jsonl")

        def run(latency: str, name: str) -> list[RequestRecord]:
            engine_args = EngineArgs(
                model=str(model), skip_tokenizer_init=True, max_num_seqs=128,
                max_num_batched_tokens=2048, sim_device="rtx_pro_6000_server", sim_latency=latency,
            )  # fmt: skip
            started_s = time.monotonic()
            summary = replay(engine_args, RunOptions(folder / "trace.jsonl", folder / name))
            print(
                f"{latency}: {summary['simulated_seconds']:.1f} s of GPU time in "
                f"{summary['wall_seconds']:.1f} s ({time.monotonic() - started_s:.1f} s with "
                f"building the engine), {summary['steps']} steps, "
                f"{100 * summary['in_domain_share']:.1f} % in domain",
                flush=True,
            )
            return sorted(read_requests(folder / name), key=lambda one: int(one.id[1:]))

        plain = run("aiconfigurator", "plain")
        print(f"\nwithout a fit, all requests\n{compared(real, plain)}\n")
        host_us, fitted = fit_host_us(
            lambda host_us: run(f"aiconfigurator:host_us={host_us:g}", "fitted"), real
        )
        print(f"\nhost_us={host_us:g} fitted on requests 0, 2, 4, …; requests 1, 3, 5, …")
        print(compared(real[1::2], fitted[1::2]))
        print(f"\nthe same, all requests\n{compared(real, fitted)}")
        picture = folder / "rtxpro6000.png"
        draw_comparison(real, fitted, f"RTX PRO 6000, host_us={host_us:g}", picture)


if __name__ == "__main__":
    main()
