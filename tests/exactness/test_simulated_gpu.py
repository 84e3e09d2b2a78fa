"""A simulated GPU under the limits of the real CPU engine: it decides the same.

No real engine with model runner V2, which GPUs have, runs on a CPU. The runner is sent other
data than its predecessor, of decisions that are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.traces import write_trace

from vllm.sim.step_log import read_steps

from .check_log import check_log
from .compare import Comparison, differences, play, trace_rows
from .setups import Setup, setup_named
from .table import Row, row

pytestmark = [pytest.mark.engine, pytest.mark.slow]


AS_A_GPU = ("blocks of 32, async", "few blocks", "few blocks, async", "few blocks, by priority")


@pytest.mark.parametrize("name", AS_A_GPU)
def test_a_simulated_gpu_decides_as_the_real_cpu_engine(
    name: str,
    comparison: Callable[[Setup], Comparison],
    saved_model: Callable[[str], Path],
    report: Callable[[Row], None],
    tmp_path: Path,
) -> None:
    setup = setup_named(name)
    compared = comparison(setup)
    real = compared.real
    trace = write_trace(tmp_path / "trace.jsonl", trace_rows(real.values()))
    gpu, config = play(
        setup,
        saved_model(setup.model),
        trace=trace,
        sim_device="h100_sxm",
        sim_step_log=str(tmp_path),
    )
    assert config["use_v2_model_runner"] and not compared.real_config["use_v2_model_runner"]
    for script in setup.scripts:
        found = differences(real[script], gpu[script])
        report(row(f"{name}; as an H100", script, real[script], found))
        assert not found, "\n".join([f"{script}: {len(found)} differences", *found[:5]])
    seen = [step for run in real.values() for step in run.steps]
    check_log(read_steps(tmp_path / "steps.jsonl"), seen, setup.async_scheduling)
