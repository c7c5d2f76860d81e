"""How much of a curved surface its facets miss, by the angles between them."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from cadml_core import FacetQuality
from cadml_plugins.formats.mesh._facets import Facets
from cadml_plugins.formats.mesh._measures import FacetMeasures
from cadml_plugins.formats.mesh._topology import Topology

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


def with_errors(topology: Topology, facets: Facets, measures: FacetMeasures) -> FacetQuality:
    """Return the quality of a mesh with what it may miss of curved surfaces."""
    area, volume = facet_errors(facets, *topology.sides, measures.area, measures.signed_volume)
    return msgspec.structs.replace(topology.quality, area_error=area, volume_error=volume)


def facet_errors(
    facets: Facets, one: Numbers, other: Numbers, area: float, volume: float
) -> tuple[float, float]:
    """Return how far area and volume of a mesh may be from those of the surface it stands for, relatively.

    Of a cylinder with facets of width w at an angle θ to one another, each facet misses a segment of the
    circle with the area w² θ / 12, and its width is short of the arc by w θ² / 24. Where the widths at an
    edge differ, the less counts: the other may belong to a flat face. The flat ends miss the segments.

    Args:
        facets: All of them, n.
        one: The sides that meet another facet, (m,): side 3 n + k runs from corner k of facet n to the next.
        other: The sides of the other facets at the same edges, (m,).
        area: Of all facets.
        volume: That they enclose.
    """
    first, second = one // 3, other // 3
    ones, others = facets.doubled[first], facets.doubled[second]
    products = ones * others
    cosines = _dot(facets.normals.take(first, axis=0), facets.normals.take(second, axis=0))
    smooth = cosines > math.cos(SMOOTH) * products
    curved = np.flatnonzero(smooth & (cosines < (1.0 - 1e-12) * products))
    if not (len(curved) and area > 0.0 and abs(volume) > 0.0):
        return 0.0, 0.0
    angles = np.arccos(np.minimum(cosines[curved] / products[curved], 1.0))
    along = _sides(facets, one[curved])
    lengths = np.maximum(np.sqrt(_dot(along, along)), 1e-300)
    strips = np.minimum(ones[curved], others[curved])  # length times the lesser width
    bent = strips * angles
    missing = float(bent @ (strips / lengths)) / 12.0
    short = DOUBLY_CURVED * float(bent @ angles) / 24.0
    bends = _Bends(len(facets.doubled), np.concatenate((first[curved], second[curved])), angles)
    sharp = np.flatnonzero(~smooth)
    at, number = bends.axes(np.concatenate((first[sharp], second[sharp])))
    if len(at):
        sides, axes = _sides(facets, one[sharp[number % len(sharp)]]), along.take(at, axis=0)
        across = _dot(sides, sides) - (_dot(sides, axes) / lengths[at]) ** 2
        short += float(across @ angles[at]) / 12.0
    return MARGIN * short / area, MARGIN * missing / abs(volume)


class _Bends:
    """The strongest bend at each facet."""

    def __init__(self, count: int, facets: Numbers, angles: Array) -> None:
        """Find it among k bends, whose facets below ``count`` are the halves of ``facets``, (2 k,)."""
        number, both = np.arange(len(facets)) % len(angles), np.concatenate((angles, angles))
        strongest = np.zeros(count)
        np.maximum.at(strongest, facets, both)
        chosen = both == strongest[facets]
        self._bend = np.full(count, -1)
        self._bend[facets[chosen]] = number[chosen]

    def axes(self, facets: Numbers) -> tuple[Numbers, Numbers]:
        """Return the bends at those facets that have any, and the places of these in ``facets``."""
        bends = self._bend[facets]
        places = np.flatnonzero(bends >= 0)
        return bends[places], places


def _sides(facets: Facets, numbers: Numbers) -> Array:
    """Return the vectors along sides."""
    corners = facets.corners.reshape(-1, 3)
    ends = numbers + 1
    ends[numbers % 3 == 2] -= 3
    sides: Array = corners.take(ends, axis=0)
    sides -= corners.take(numbers, axis=0)
    return sides


def _dot(a: Array, b: Array) -> Array:
    products: Array = np.einsum("ij,ij->i", a, b)
    return products
