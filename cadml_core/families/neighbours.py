"""The nearest neighbours of every point, by comparing all with all in blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NEAREST = 24
"""So many neighbours of each point are kept."""
_BLOCK = 1_000
"""Points whose distances to all others are in memory at once."""


class Neighbours(NamedTuple):
    """The nearest points of each of n, the nearest first."""

    indices: NDArray[np.int64]
    """(n, k)."""
    distances: NDArray[np.float32]
    """(n, k)."""

    def within(self, reach: float, members: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the pairs among some points that are no further apart, as places among those points."""
        place = np.full(len(self.indices), -1, np.int64)
        place[members] = np.arange(len(members))
        rows, columns = np.nonzero(self.distances[members] <= reach)
        others = place[self.indices[members[rows], columns]]
        return rows[others >= 0], others[others >= 0]


def neighbours(
    vectors: NDArray[np.float32], k: int = NEAREST, progress: Callable[[int, int], None] | None = None
) -> Neighbours:
    """Return the nearest neighbours of each point, without itself; fewer than k where there are fewer points.

    Takes time by the square of the points: about a minute for 100,000 of 64 numbers.
    """
    count = len(vectors)
    k = min(k, max(count - 1, 0))
    indices, distances = np.zeros((count, k), np.int64), np.zeros((count, k), np.float32)
    squares = np.einsum("ij,ij->i", vectors, vectors)
    for start in range(0, count if k else 0, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, count))
        gaps = squares[rows, None] + squares[None] - 2.0 * (vectors[rows] @ vectors.T)
        gaps[rows - start, rows] = np.inf
        nearest = np.argpartition(gaps, k - 1, axis=1)[:, :k]
        found = np.take_along_axis(gaps, nearest, axis=1)
        order = np.lexsort((nearest, found), axis=1)
        indices[rows] = np.take_along_axis(nearest, order, axis=1)
        distances[rows] = np.sqrt(np.maximum(np.take_along_axis(found, order, axis=1), 0.0))
        if progress is not None:
            progress(len(rows) + start, count)
    return Neighbours(indices, distances)
