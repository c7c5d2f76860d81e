"""Named points of which those near another are found quickly, and points are added at any time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_FULL = 256
"""So many points of one cell are looked at: more are as good as equal, and some of them stand for all."""

Point = tuple[float, ...]


class Cells:
    """Points that were there before, sorted; and those added since, in cells as wide as the reach.

    Sorting is quick for points in bulk, and cells for one more.

    Args:
        reach: Points are near where no coordinate differs by more.
        axes: So many of the first coordinates make the cells; 3 to the power of it are looked into.
        names: Of the points that are there; a name may have several.
        points: (n, d).
    """

    def __init__(self, reach: float, axes: int, names: Sequence[str], points: NDArray[np.float64]) -> None:
        self._reach, self._axes = reach, axes
        order = np.argsort(points[:, 0], kind="stable") if len(points) else np.zeros(0, np.int64)
        self._names, self._order, self._points = names, order, points[order]
        self._first = np.ascontiguousarray(self._points[:, 0]) if len(points) else np.zeros(0)
        self._cells: dict[tuple[int, ...], list[tuple[str, Point]]] = {}

    def add(self, name: str, point: Point) -> None:
        """Add a point."""
        cell = tuple(math.floor(value / self._reach) for value in point[: self._axes])
        self._cells.setdefault(cell, []).append((name, point))

    def near(self, point: Point, most: int) -> list[str]:
        """Return the names of points within reach, the nearest first, each once and at most so many."""
        found = self._before(point, most) + self._since(point)
        found.sort()
        return list(dict.fromkeys(name for _, name in found))[:most]

    def _before(self, point: Point, most: int) -> list[tuple[float, str]]:
        low, high = np.searchsorted(self._first, [point[0] - self._reach, point[0] + self._reach])
        if low == high:
            return []
        gaps = np.abs(self._points[low : high + 1] - point).max(axis=1)
        near = np.flatnonzero(gaps <= self._reach)
        near = near[np.argsort(gaps[near], kind="stable")][: 2 * most + _FULL]
        return [(float(gaps[place]), self._names[self._order[low + place]]) for place in near.tolist()]

    def _since(self, point: Point) -> list[tuple[float, str]]:
        middle = [math.floor(value / self._reach) for value in point[: self._axes]]
        found = []
        for cell in itertools.product(*(range(place - 1, place + 2) for place in middle)):
            for name, other in self._cells.get(cell, ())[:_FULL]:
                gap = max(map(abs, map(float.__sub__, point, other)))
                if gap <= self._reach:
                    found.append((gap, name))
        return found
