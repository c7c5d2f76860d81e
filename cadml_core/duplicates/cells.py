"""Named points of which those near another are found in constant time, and points are added at any time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

_FULL = 256
"""So many points of one cell are looked at: more are as good as equal, and some of them stand for all."""


class Cells:
    """Points in cells as wide as the reach, so that neighbours lie in adjacent cells.

    Args:
        reach: Points are near where no coordinate differs by more.
        axes: So many of the first coordinates make the cells; 3 to the power of it are looked into.
    """

    def __init__(self, reach: float, axes: int) -> None:
        self._reach, self._axes = reach, axes
        self._around = list(itertools.product((-1, 0, 1), repeat=axes))
        self._cells: dict[tuple[int, ...], list[tuple[str, tuple[float, ...]]]] = {}

    def add(self, name: str, point: Sequence[float]) -> None:
        """Add a point; its name may have several."""
        self._cells.setdefault(self._cell(point), []).append((name, tuple(point)))

    def near(self, point: Sequence[float], most: int) -> list[str]:
        """Return the names of points within reach, the nearest first, each once and at most so many."""
        middle, found = self._cell(point), []
        for shift in self._around:
            inside = self._cells.get(tuple(map(sum, zip(middle, shift, strict=True))), ())
            for name, other in inside[:_FULL]:
                gap = max(abs(one - two) for one, two in zip(point, other, strict=True))
                if gap <= self._reach:
                    found.append((gap, name))
        found.sort()
        return list(dict.fromkeys(name for _, name in found))[:most]

    def _cell(self, point: Sequence[float]) -> tuple[int, ...]:
        return tuple(math.floor(value / self._reach) for value in point[: self._axes])
