"""Named points of which those near another are found in constant time, and points are added at any time."""

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
    """Points in cells as wide as the reach, so that neighbours lie in adjacent cells.

    Args:
        reach: Points are near where no coordinate differs by more.
        axes: So many of the first coordinates make the cells; 3 to the power of it are looked into.
    """

    def __init__(self, reach: float, axes: int) -> None:
        self._reach, self._axes = reach, axes
        self._cells: dict[tuple[int, ...], list[tuple[str, Point]]] = {}

    def add(self, names: Sequence[str], points: NDArray[np.float64]) -> None:
        """Add points, (n, d), under n names; a name may have several."""
        cells = np.floor(points[:, : self._axes] / self._reach).astype(np.int64).tolist()
        # Tuples of numbers and text are no concern of the garbage collector, lists would be.
        for name, point, cell in zip(names, map(tuple, points.tolist()), map(tuple, cells), strict=True):
            self._cells.setdefault(cell, []).append((name, point))

    def near(self, point: Point, most: int) -> list[str]:
        """Return the names of points within reach, the nearest first, each once and at most so many."""
        middle = [math.floor(value / self._reach) for value in point[: self._axes]]
        found = []
        for cell in itertools.product(*(range(place - 1, place + 2) for place in middle)):
            for name, other in self._cells.get(cell, ())[:_FULL]:
                gap = max(map(abs, map(float.__sub__, point, other)))
                if gap <= self._reach:
                    found.append((gap, name))
        found.sort()
        return list(dict.fromkeys(name for _, name in found))[:most]
