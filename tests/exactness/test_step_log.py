"""The simulator's own records say what was seen from outside."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .check_log import check_log
from .compare import Comparison
from .setups import SETUPS, Setup

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
def test_step_log_agrees_with_what_was_seen(
    setup: Setup, comparison: Callable[[Setup], Comparison]
) -> None:
    compared = comparison(setup)
    # Of the real engine: the simulator's records describe it just as well.
    seen = [step for run in compared.real.values() for step in run.steps]
    check_log(compared.step_log, seen, setup.async_scheduling)
