"""Law 1: on the same requests a simulated run and a real one decide the same, step by step.

``docs/exactness.md`` says how, and what is compared.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .compare import Comparison, differences, play
from .setups import SETUPS, Setup, setup_named
from .table import Row, row

pytestmark = [pytest.mark.engine, pytest.mark.slow]

ComparisonOf = Callable[[Setup], Comparison]

each_setup = pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)

# Facts that a worker notes on its own copy of the configuration, after the scheduler has them.
WORKERS_NOTES = {"cache_config.hash_block_size", "cache_config.cache_hit_alignment_tokens"}


@pytest.mark.parametrize(
    ("setup", "script"),
    [
        pytest.param(setup, script, id=f"{setup.name}: {script}")
        for setup in SETUPS
        for script in setup.scripts
    ],
)
def test_real_and_simulated_decide_the_same(
    setup: Setup, script: str, comparison: ComparisonOf, report: Callable[[Row], None]
) -> None:
    compared = comparison(setup)
    real, simulated = compared.real[script], compared.simulated[script]
    found = differences(real, simulated)
    report(row(setup.name, script, real, found))
    assert real.steps
    assert not found, "\n".join([f"{len(found)} differences", *found[:5]])


@each_setup
def test_real_and_simulated_resolve_the_same_configuration(
    setup: Setup, comparison: ComparisonOf
) -> None:
    compared = comparison(setup)
    real, simulated = compared.real_config, compared.simulated_config
    differing = {name for name in real if real[name] != simulated[name]}
    assert differing <= WORKERS_NOTES
    assert real["scheduler_config.async_scheduling"] is setup.async_scheduling


def test_a_real_engine_after_a_simulated_one_is_real_again(
    comparison: ComparisonOf, saved_model: Callable[[str], Path]
) -> None:
    """Real, simulated, real in one process: both real runs say and decide the same."""
    setup = setup_named("32 tokens a step")
    before = comparison(setup)
    again, config = play(setup, saved_model(setup.model))
    assert config == before.real_config
    for script, run in again.items():
        assert not differences(before.real[script], run)
