"""Each setup is run once, and what was seen is shared by the tests and the table at the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .compare import Comparison, compare
from .models import save_model
from .setups import Setup
from .table import Row, exactness_table

_ROWS = pytest.StashKey[list[Row]]()


@pytest.fixture(scope="session")
def saved_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a model of some kind, made at the first call."""
    folders: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in folders:
            folders[kind] = save_model(kind, tmp_path_factory.mktemp(kind))
        return folders[kind]

    return folder


@pytest.fixture(scope="session")
def comparison(
    saved_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Setup], Comparison]:
    """Both engines' runs of a setup, made at the first call."""
    made: dict[str, Comparison] = {}
    begun: set[str] = set()

    def comparison_of(setup: Setup) -> Comparison:
        if setup.name not in made:
            assert setup.name not in begun, "could not be run; an earlier test says why"
            begun.add(setup.name)
            folder = tmp_path_factory.mktemp("runs")
            made[setup.name] = compare(setup, saved_model(setup.model), folder)
        return made[setup.name]

    return comparison_of


@pytest.fixture
def report(pytestconfig: pytest.Config) -> Callable[[Row], None]:
    """Put a row into the table that ends the test run."""
    return pytestconfig.stash.setdefault(_ROWS, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if rows := terminalreporter.config.stash.get(_ROWS, []):
        terminalreporter.section("real against simulated")
        terminalreporter.write_line(exactness_table(rows))
