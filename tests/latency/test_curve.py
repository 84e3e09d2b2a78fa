"""Interpolation between the points of a table."""

from __future__ import annotations

import pytest

from vllm.sim.latency.curve import Curve, Surface


@pytest.mark.parametrize(
    ("point", "value"), [(0, 10), (1, 10), (2, 15), (3, 20), (5, 40), (7, 60), (9, 80)]
)
def test_curve(point: float, value: float) -> None:
    assert Curve([1, 3, 7], [10, 20, 60])(point) == value


def test_surface_is_exact_for_a_product() -> None:
    rows, columns = [1, 2, 8, 16], [1, 10, 100]
    surface = Surface(rows, columns, [[row * column for column in columns] for row in rows])
    for row in (1, 1.5, 5, 16, 32):
        for column in (1, 7, 60, 100, 1000):
            assert surface(row, column) == pytest.approx(row * column)


def test_too_few_points() -> None:
    with pytest.raises(ValueError, match="1 points and 1 values"):
        Curve([1], [1])
    with pytest.raises(ValueError, match="2 rows and 1 lists"):
        Surface([1, 2], [1, 2], [[1, 2]])
