"""What a replay costs on top of vLLM's own loop.

    python tests/bench/replay_overhead.py [--running 64 256] [--rounds 5] [--profile]

The bare loop is the same engine, with an executor that returns a constant token at once:
nothing is translated, predicted, waited for or written. The replay does all of it: records of
steps and requests on disk, step times from the roofline model; once with every step scheduled by
itself, and once with fast-forward, as a replay runs. All three run the same requests, in turns, in
one process, and CPU time is counted; the ratios within a round are what counts on a machine that
others use, too.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.paths import DEMO_MODEL
from support.traces import write_trace
from vllm.engine.arg_utils import EngineArgs
from vllm.inputs.engine import tokens_input
from vllm.usage.usage_lib import UsageContext
from vllm.v1.outputs import EMPTY_MODEL_RUNNER_OUTPUT, ModelRunnerOutput

from vllm.sim.engine.offline import OfflineEngine, offline_engine
from vllm.sim.engine.replay_executor import ReplayExecutor
from vllm.sim.engine.replay_run import Replay, RunOptions, prepare

PROMPT_TOKENS = 64
CONTEXT = UsageContext.OPENAI_API_SERVER


class ConstantExecutor(ReplayExecutor):
    """Token 7 for everyone, at once."""

    def execute_model(self, scheduler_output: Any, non_block: bool = False) -> Any:
        self._scheduled = scheduler_output.num_scheduled_tokens
        future: Future[Any] = Future()
        future.set_result(None if self._scheduled else EMPTY_MODEL_RUNNER_OUTPUT)
        return future

    def sample_tokens(self, grammar_output: Any, non_block: bool = False) -> Any:
        ids = list(self._scheduled)
        output = ModelRunnerOutput(
            req_ids=ids,
            req_id_to_index={request_id: at for at, request_id in enumerate(ids)},
            sampled_token_ids=[[7] for _ in ids],
        )
        future: Future[Any] = Future()
        future.set_result(output)
        return future if non_block else output


def engine_args(running: int, executor: type) -> EngineArgs:
    args = EngineArgs(
        model=str(DEMO_MODEL), max_num_seqs=running, max_model_len=4096, async_scheduling=True,
        num_gpu_blocks_override=40_000, sim_device="h100_sxm", sim_latency="roofline",
    )  # fmt: skip
    prepare(args)
    args.distributed_executor_backend = executor
    return args


def bare_round(engine: OfflineEngine, prompts: list[list[int]], params: Callable[[], Any]) -> None:
    for number, prompt_ids in enumerate(prompts):
        engine.engine.add_request(f"r{number}", tokens_input(prompt_ids), params())
    while engine.has_work():
        engine.engine.step()


def replay_round(engine: OfflineEngine, options: RunOptions, fast_forward: bool = False) -> None:
    with options.opened() as source:
        Replay(engine, options, source, fast_forward).run()


def timed(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def measure(running: int, rounds: int, output_tokens: int, profile: bool) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        row = {"input_length": PROMPT_TOKENS, "output_length": output_tokens}
        trace = write_trace(folder / "trace.jsonl", [row for _ in range(running)])
        options = RunOptions(trace, folder / "run")
        bare = stack.enter_context(offline_engine(engine_args(running, ConstantExecutor), CONTEXT))
        engine = stack.enter_context(offline_engine(engine_args(running, ReplayExecutor), CONTEXT))
        prompts, params = _same_requests(engine, options, output_tokens)
        bare_round(bare, prompts, params)
        times = [
            (
                timed(lambda: bare_round(bare, prompts, params)),
                timed(lambda: replay_round(engine, options)),
                timed(lambda: replay_round(engine, options, fast_forward=True)),
            )
            for _ in range(rounds)
        ]
        steps = output_tokens + 1
        ms = [1000 * statistics.median(of_one) / steps for of_one in zip(*times, strict=True)]
        step_by_step, ahead = (sorted(one[at] / one[0] for one in times) for at in (1, 2))
        print(
            f"{running:4d} running: bare {ms[0]:.3f} ms a step, replay {ms[1]:.3f}, ratio "
            f"{ratios(step_by_step)}; with fast-forward {ms[2]:.3f}, ratio {ratios(ahead)}",
            flush=True,
        )
        if profile:
            profiler = cProfile.Profile()
            profiler.runcall(replay_round, engine, options)
            pstats.Stats(profiler).sort_stats("tottime").print_stats(35)


def ratios(ascending: list[float]) -> str:
    return f"{statistics.median(ascending):.3f} ({ascending[0]:.3f} to {ascending[-1]:.3f})"


def _same_requests(
    engine: OfflineEngine, options: RunOptions, output_tokens: int
) -> tuple[list[list[int]], Callable[[], Any]]:
    """The prompts of the trace, and parameters as a replay gives them, but for the end."""
    made: list[tuple[list[int], Any]] = []
    add = engine.add

    def noted(request_id: str, prompt_ids: list[int], params: Any, *rest: Any) -> None:
        made.append((prompt_ids, params))
        add(request_id, prompt_ids, params, *rest)

    engine.add = noted  # type: ignore[method-assign]
    try:
        replay_round(engine, options)
    finally:
        del engine.add

    def params() -> Any:
        of_one = made[0][1].clone()
        of_one.max_tokens = output_tokens  # token 7 ends nothing
        return of_one

    return [ids for ids, _ in made], params


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--running", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output-tokens", type=int, default=400)
    parser.add_argument("--profile", action="store_true")
    args = parser.parse_args()
    for running in args.running:
        measure(running, args.rounds, args.output_tokens, args.profile)


if __name__ == "__main__":
    main()
