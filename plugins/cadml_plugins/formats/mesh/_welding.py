"""Welding: corners of facets become shared vertices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cadml_core import TriangleMesh

Corners = NDArray[np.floating[Any]]
"""(n, 3, 3): facet, corner, coordinate."""

# Odd constants with well spread bits; the vertices are numbered in the order of their hashes.
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9))
_SPREAD = np.uint64(0xBF58476D1CE4E5B9)
_HALF = np.uint64(32)


def weld(corners: Corners) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Merge corners whose coordinates are exactly equal (0 and -0 are the same).

    Sorting hashes is several times as fast as sorting rows of coordinates.

    Args:
        corners: (n, 3, 3), facet, corner, coordinate; finite.

    Returns:
        Vertices, float64 (k, 3), and triangles, int64 (n, 3).
    """
    points = corners.reshape(-1, 3) + corners.dtype.type(0)
    bits = np.uint64(len(points).bit_length())
    # The number of the corner in the place of the lowest bits: sorting is faster than finding an order.
    keys = np.sort((_hash(points) >> bits << bits) | np.arange(len(points), dtype=np.uint64))
    ordered = keys >> bits
    order = (keys & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)
    first = np.concatenate(([True], ordered[1:] != ordered[:-1]))
    numbers = np.empty(len(points), dtype=np.int64)
    numbers[order] = np.cumsum(first) - 1
    vertices = points.take(order[first], axis=0)  # which is faster than an index
    if not (vertices.take(numbers, axis=0) == points).all():  # different points share a hash
        vertices, inverse = np.unique(points, axis=0, return_inverse=True)
        numbers = inverse.reshape(-1)
    return vertices.astype(np.float64), numbers.reshape(-1, 3)


def _hash(points: Corners) -> NDArray[np.uint64]:
    """Hash each row to 64 bits, multiplicatively (D. E. Knuth, TAOCP 3, section 6.4); equal rows alike."""
    bits = points.view(np.uint32 if points.dtype == np.float32 else np.uint64)
    keys = np.zeros(len(points), dtype=np.uint64)
    for column, factor in zip(bits.T, _MIX, strict=True):
        word = column.astype(np.uint64)
        word ^= word >> _HALF  # numbers with few digits differ in their high bits only
        word *= factor
        keys += word
    keys ^= keys >> _HALF
    keys *= _SPREAD
    keys ^= keys >> _HALF
    return keys


def merge_near(
    vertices: NDArray[np.float64], triangles: NDArray[np.int64], loose: NDArray[np.int64], tolerance: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
    """Merge vertices that rounding has set apart.

    Args:
        vertices: float64 (n, 3).
        triangles: int64 (m, 3), vertex numbers.
        loose: The numbers of the vertices that may be merged, each once.
        tolerance: How far apart, along each axis, vertices that become one may lie.

    Returns:
        The vertices that are left, and the triangles; None where nothing could be merged.
    """
    members, sizes = _groups(vertices[loose], tolerance)
    if not len(members):
        return None
    first = np.cumsum(sizes) - sizes
    places = vertices[loose[members]]
    spread = np.maximum.reduceat(places, first) - np.minimum.reduceat(places, first)
    narrow: NDArray[np.bool_] = np.repeat(np.all(spread <= tolerance, axis=1), sizes)
    leaders = np.repeat(loose[members[first]], sizes)
    target = np.arange(len(vertices))
    target[loose[members[narrow]]] = leaders[narrow]
    kept, numbers = np.unique(target, return_inverse=True)
    return None if len(kept) == len(vertices) else (vertices[kept], numbers.reshape(-1)[triangles])


_MOST_ROUNDS = 8
"""Of cutting. Points in a chain may need more; they are then too far apart to be merged."""


def _groups(points: NDArray[np.float64], tolerance: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the groups of two or more points that no gap wider than the tolerance divides along an axis.

    Every group is cut at such gaps along one axis after the other, until there are none. Points closer than
    the tolerance are never divided, as they would be by the cells of a grid.

    Args:
        points: float64 (n, 3).
        tolerance: The widest gap within a group.

    Returns:
        The indices of the points in groups, group by group, and how many each group has.
    """
    members, group = np.arange(len(points)), np.zeros(len(points), np.int64)
    sizes = np.array([len(points)])
    for _ in range(_MOST_ROUNDS):
        before = sizes
        for axis in range(3):
            column = points[members, axis]
            order = np.lexsort((column, group))
            members, cut = members[order], np.ones(len(order), bool)
            cut[1:] = (np.diff(group[order]) > 0) | (np.diff(column[order]) > tolerance)
            number = np.cumsum(cut) - 1
            shared = np.bincount(number)[number] > 1  # what is alone is done with
            members, group = members[shared], number[shared]
        sizes = np.unique(group, return_counts=True)[1]
        if np.array_equal(sizes, before):
            break
    return members, sizes


def weld_on_grid(vertices: NDArray[np.float64], facets: NDArray[np.int64], tolerance: float) -> TriangleMesh:
    """Merge vertices that fall into one cell of a grid, and drop triangles that collapse.

    Args:
        vertices: float64 (n, 3).
        facets: int64 (m, 3), vertex numbers.
        tolerance: Width of a cell. Vertices closer than that stay apart where they fall into two cells.
    """
    cells = np.round(vertices / tolerance).astype(np.int64)
    _, first, index = np.unique(cells, axis=0, return_index=True, return_inverse=True)
    merged = index.reshape(-1)[facets]
    a, b, c = merged.T
    return TriangleMesh(vertices[first], merged[(a != b) & (b != c) & (c != a)].astype(np.int64))
