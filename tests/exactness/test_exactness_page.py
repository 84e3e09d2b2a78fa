"""The table in ``docs/exactness.md`` has the rows that a test run prints."""

from __future__ import annotations

from support.paths import REPOSITORY

from .setups import SETUPS
from .test_simulated_gpu import AS_A_GPU

PAGE = (REPOSITORY / "docs" / "exactness.md").read_text("utf-8")


def test_every_comparison_is_in_the_table() -> None:
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines()]
    rows = [row for row in cells if len(row) == 7 and row[2].isdigit()]
    assert all(row[-1] == "0" for row in rows)
    ran = [(setup.name, script) for setup in SETUPS for script in setup.scripts]
    ran += [
        (f"{setup.name}; as an H100", script)
        for setup in SETUPS
        if setup.name in AS_A_GPU
        for script in setup.scripts
    ]
    assert sorted((row[0], row[1]) for row in rows) == sorted([*ran, ("total", "")])
