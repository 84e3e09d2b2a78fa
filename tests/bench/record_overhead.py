"""What `--sim-record` costs a step of a server, in the engine's own thread.

    python tests/bench/record_overhead.py [--running 64 256]

The recorder is put on an engine core whose executor answers at once, in turns with the same core
without it; the CPU time that the two differ by is its cost, whatever a real step takes. 2 % of a
decode step of Llama-3.1-8B on an H100 (10.3 ms at 64 requests, by its measured kernels) is 206 us.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from replay_overhead import CONTEXT, ConstantExecutor, engine_args
from vllm.sampling_params import RequestOutputKind, SamplingParams

from vllm.sim.engine.offline import OfflineEngine, offline_engine
from vllm.sim.engine.recorder_server import ServerRecorder

TOKENS = 300


def run_round(engine: OfflineEngine, running: int) -> float:
    """CPU seconds a step."""
    params = SamplingParams(
        max_tokens=TOKENS, ignore_eos=True, detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )  # fmt: skip
    for number in range(running):
        engine.engine.add_request(
            f"r{number}", {"type": "token", "prompt_token_ids": [number] * 64}, params
        )
    started = time.process_time()
    while engine.has_work():
        engine.engine.step()
    return (time.process_time() - started) / TOKENS


def measure(running: int, rounds: int) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        offline_engine(engine_args(running, ConstantExecutor), CONTEXT) as engine,
    ):
        core = engine.core
        run_round(engine, running)
        differences, plain = [], []
        for number in range(rounds):
            without = run_round(engine, running)
            before = (core.step_fn, core.add_request, core.shutdown)
            executor = core.model_executor
            recorder = ServerRecorder(core, Path(folder) / str(number))
            recorder.attach()
            recorded = run_round(engine, running)
            core.step_fn, core.add_request, core.shutdown = before
            del executor.execute_model
            recorder.close()
            plain.append(without)
            differences.append(recorded - without)
        print(
            f"{running:4d} running: {1e6 * statistics.median(differences):.0f} us a step "
            f"({1e6 * min(differences):.0f} to {1e6 * max(differences):.0f}), on top of "
            f"{1e6 * statistics.median(plain):.0f} us of vLLM's loop",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--running", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    for running in args.running:
        measure(running, args.rounds)


if __name__ == "__main__":
    main()
