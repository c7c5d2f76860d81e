"""How much of a curved surface its facets miss, by the angles between them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cadml_plugins.formats.mesh._welding import Corners

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]

SMOOTH = math.radians(46.0)
"""Largest angle between facets that stand for one curved surface, eight to a turn; others meet at an edge of
the part."""

MARGIN = 2.0
"""The errors are those of even facets; others may be so much worse."""
DOUBLY_CURVED = 3.0
"""The area of a sphere is short by so many times what the curvature in either direction tells: facets that
lie deeper by the one are smaller by the other."""


def facet_errors(
    corners: Corners, one: Numbers, other: Numbers, area: float, volume: float
) -> tuple[float, float]:
    """Return how far area and volume of a mesh may be from those of the surface it stands for, relatively.

    Of a cylinder with facets of width w at an angle θ to one another, each facet misses a segment of the
    circle with the area w² θ / 12, and its width is short of the arc by w θ² / 24. Where the widths at an
    edge differ, the less counts: the other may belong to a flat face. The flat ends miss the segments.

    Args:
        corners: (n, 3, 3), of all facets.
        one: The sides that meet another facet, (m,): side 3 n + k runs from corner k of facet n to the next.
        other: The sides of the other facets at the same edges, (m,).
        area: Of all facets.
        volume: That they enclose.
    """
    first, second = one // 3, other // 3
    places = corners.astype(np.float64)
    normals = _cross(places[:, 1] - places[:, 0], places[:, 2] - places[:, 0])
    doubled = np.sqrt(np.einsum("ij,ij->i", normals, normals))
    products = doubled[first] * doubled[second]
    cosines = np.einsum("ij,ij->i", normals[first], normals[second])
    smooth = cosines > math.cos(SMOOTH) * products
    curved = smooth & (cosines < (1.0 - 1e-12) * products)
    if not (curved.any() and area > 0.0 and abs(volume) > 0.0):
        return 0.0, 0.0
    angles = np.arccos(np.minimum(cosines[curved] / products[curved], 1.0))
    along = _sides(places, one[curved])
    lengths = np.maximum(np.sqrt(np.einsum("ij,ij->i", along, along)), 1e-300)
    strips = np.minimum(doubled[first], doubled[second])[curved]  # length times the lesser width
    missing = float((strips * strips / lengths * angles).sum()) / 12.0
    short = DOUBLY_CURVED * float((strips * angles**2).sum()) / 24.0
    bends = _Bends(len(places))
    for facets in (first[curved], second[curved]):
        bends.add(facets, angles, along / lengths[:, None])
    short += bends.segments(_sides(places, one[~smooth]), first[~smooth], second[~smooth])
    return MARGIN * short / area, MARGIN * missing / abs(volume)


class _Bends:
    """The strongest bend at each facet: its angle, and the direction of the axis."""

    def __init__(self, facets: int) -> None:
        self._angles, self._axes = np.zeros(facets), np.zeros((facets, 3))

    def add(self, facets: Numbers, angles: Array, axes: Array) -> None:
        """Note bends at facets."""
        np.maximum.at(self._angles, facets, angles)
        strongest = angles == self._angles[facets]
        self._axes[facets[strongest]] = axes[strongest]

    def segments(self, sides: Array, first: Numbers, second: Numbers) -> float:
        """Return the area between sharp edges, (m, 3) with the facets at them, and arcs across the bends."""
        total = 0.0
        for facets in (first, second):
            across = _cross(sides, self._axes[facets])
            total += float((np.einsum("ij,ij->i", across, across) * self._angles[facets]).sum()) / 12.0
        return total


def _sides(places: Array, numbers: Numbers) -> Array:
    facets, corner = numbers // 3, numbers % 3
    sides: Array = places[facets, (corner + 1) % 3] - places[facets, corner]
    return sides


def _cross(a: Array, b: Array) -> Array:
    """Return the products of two columns of vectors; numpy's takes three times as long."""
    (x, y, z), (p, q, r) = a.T, b.T
    return np.column_stack([y * r - z * q, z * p - x * r, x * q - y * p])
