"""Extents that a few stray entities do not decide, and outlines reduced to what extents need."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

_BEYOND_ANY_PART = 1e15
"""In drawing units. CAD programs write 1e20 for a place that is not set."""
_ENOUGH_TO_JUDGE = 10
"""Among fewer entities there is no rest to compare with."""
_FAR = 1e3
"""Gap between a stray and the rest, over the diagonal of the rest: much larger than any gap that a drawing
has on purpose, so that nothing of a real part is left out."""
_IMMENSE = 1e6
"""The same for an entity that reaches that far without standing apart."""
_MOST_SPATIAL_POINTS = 20_000
"""Points of a spatial outline that are kept."""


class Extent(NamedTuple):
    """A box, and which entities were left out of it."""

    low: Points
    high: Points
    stray: NDArray[np.bool_]


def robust_extent(boxes: Points) -> Extent:
    """Return the box around the entities' boxes (n, 6; opposite corners), n > 0, without strays.

    A stray has a coordinate beyond 1e15. Among ten entities or more, one of the furthest percent is also a
    stray where it stands apart from the rest by 1,000 diagonals of the rest, or reaches 1,000,000 diagonals
    away.
    """
    low, high = np.minimum(boxes[:, :3], boxes[:, 3:]), np.maximum(boxes[:, :3], boxes[:, 3:])
    stray: NDArray[np.bool_] = np.maximum(-low.min(axis=1), high.max(axis=1)) > _BEYOND_ANY_PART
    if stray.all():  # there is no rest that they could be far from
        stray[:] = False
    near = np.flatnonzero(~stray)
    if len(near) >= _ENOUGH_TO_JUDGE:
        with np.errstate(over="ignore", invalid="ignore"):
            stray[near] = _apart(low[near], high[near])
    return Extent(low[~stray].min(axis=0), high[~stray].max(axis=0), stray)


def _apart(low: Points, high: Points) -> NDArray[np.bool_]:
    middle = np.median((low + high) / 2.0, axis=0)
    reach = np.maximum(np.abs(low - middle), np.abs(high - middle)).max(axis=1)
    # The core must not depend on the strays, so the furthest percent is left out of it.
    suspects = max(1, len(reach) // 100)
    core = reach <= np.partition(reach, len(reach) - suspects - 1)[len(reach) - suspects - 1]
    core_low, core_high = low[core].min(axis=0), high[core].max(axis=0)
    diagonal = float(np.linalg.norm(core_high - core_low))
    gap = np.maximum(core_low - high, low - core_high).max(axis=1)
    apart: NDArray[np.bool_] = ~core & ((gap > _FAR * diagonal) | (reach > _IMMENSE * diagonal))
    return apart if diagonal > 0.0 else np.zeros_like(core)


def box_of(points: Points) -> tuple[float, ...]:
    """Return minimum and maximum of points (n, 3), n > 0, as six numbers."""
    return (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())


def reduced(points: Points) -> Points:
    """Return fewer points with the same extents under any linear map.

    Flat outlines become their convex hull. Spatial ones lose repeated points; where more than 20,000 remain,
    the corners of their box replace them, which may be too wide once the block is turned.
    """
    if len(points) < 8:
        return points
    if (points[:, 2] == points[0, 2]).all():
        return points[_hull(points[:, :2])]
    points = np.unique(points, axis=0)
    if len(points) <= _MOST_SPATIAL_POINTS:
        return points
    corners = np.array(np.meshgrid(*zip(points.min(axis=0), points.max(axis=0), strict=True)))
    return corners.reshape(3, -1).T


def _hull(points: Points) -> NDArray[np.int64]:
    """Return the indices of the convex hull of points (n, 2), counter-clockwise (A. M. Andrew, "Another
    efficient algorithm for convex hulls in two dimensions", 1979)."""
    rim = np.flatnonzero(~_inside(points))
    order = rim[np.lexsort((points[rim, 1], points[rim, 0]))]
    return np.array([*_chain(points, order), *_chain(points, order[::-1])])


def _inside(points: Points) -> NDArray[np.bool_]:
    """Mark points strictly within a polygon of extreme points; none of them is on the hull (S. G. Akl and
    G. T. Toussaint, "A fast convex hull algorithm", 1978)."""
    angles = np.arange(16) * (np.pi / 8.0)
    extreme = np.array([int(np.argmax(points @ (np.cos(t), np.sin(t)))) for t in angles])
    corners = points[extreme]
    marked = np.full(len(points), not (corners == corners[0]).all())
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if (ax, ay) != (bx, by):
            marked &= (bx - ax) * (points[:, 1] - ay) - (by - ay) * (points[:, 0] - ax) > 0.0
    return marked


def _chain(points: Points, order: NDArray[np.int64]) -> list[int]:
    chain: list[tuple[float, float, int]] = []
    for (x, y), index in zip(points[order].tolist(), order.tolist(), strict=True):
        while len(chain) >= 2:
            (ax, ay, _), (bx, by, _) = chain[-2:]
            if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0.0:
                break
            chain.pop()
        chain.append((x, y, index))
    return [index for _, _, index in chain]
