"""Numbers between the points of a table: straight lines, and the last one goes on."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence


class Curve:
    """A function given at points.

    Args:
        points: Where, rising; at least two.
        values: What, one a point.
    """

    def __init__(self, points: Sequence[float], values: Sequence[float]) -> None:
        if len(points) < 2 or len(points) != len(values):
            raise ValueError(f"{len(points)} points and {len(values)} values make no curve")
        self._points, self._values = list(points), list(values)
        self._inner = self._points[1:-1]
        self.last_point = self._points[-1]

    def __call__(self, point: float) -> float:
        """Before the first point the value is that of the first."""
        index = bisect_right(self._inner, point)
        left, right = self._points[index], self._points[index + 1]
        low, high = self._values[index], self._values[index + 1]
        return low + (high - low) * max(point - left, 0.0) / (right - left)


class Surface:
    """A function of two numbers, given on a grid.

    Args:
        rows: The points of the first number.
        columns: The points of the second.
        values: One list a row, with one value a column.
    """

    def __init__(
        self, rows: Sequence[float], columns: Sequence[float], values: Sequence[Sequence[float]]
    ) -> None:
        if len(rows) < 2 or len(rows) != len(values):
            raise ValueError(f"{len(rows)} rows and {len(values)} lists of values make no surface")
        self._rows = list(rows)
        self._inner = self._rows[1:-1]
        self._curves = [Curve(columns, row) for row in values]
        self.last_row, self.last_column = self._rows[-1], columns[-1]

    def __call__(self, row: float, column: float) -> float:
        index = bisect_right(self._inner, row)
        above, below = self._rows[index], self._rows[index + 1]
        low, high = self._curves[index](column), self._curves[index + 1](column)
        return low + (high - low) * max(row - above, 0.0) / (below - above)
