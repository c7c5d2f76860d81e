"""How far two aligned surfaces are apart, place by place."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cadml_core.documents.document import TriangleMesh
from cadml_core.relations.alignment import align, refined
from cadml_core.relations.surfaces import Surface

Array = NDArray[np.float64]

_FINENESS = 60
"""Facets are split until their sides are shorter than this part of the size: a hole of the other part in the
middle of a large facet is seen then."""
_MOST_FACETS = 120_000
_SAMPLES, _ROUNDS = 2_000, 3
_COMMON = 0.6
"""Share of the places, the closest ones, by which surfaces are laid on one another."""


class Deviation(NamedTuple):
    """The first surface, in facets that are small enough to be coloured."""

    mesh: TriangleMesh
    distances: Array
    """From each vertex to the other surface, (n,), in mm."""
    largest: float
    """The largest distance from any vertex of either surface to the other, in mm."""


def deviation(a: TriangleMesh, b: TriangleMesh, motion: Array | None, *, mirrored: bool = False) -> Deviation:
    """Measure both ways.

    Args:
        a: The mesh that is coloured.
        b: The other one.
        motion: 4 x 4, takes the first to the second in mm; where None, the better one of leaving
            both where they are and of aligning them.
        mirrored: Whether the second is to be aligned to the mirror image of the first.
    """
    first, second = Surface(a), Surface(b)
    chosen = motion if motion is not None else _best(first, second, mirrored=mirrored)
    fine = _split(a)
    forth, _, _ = second.nearest(fine.vertices @ chosen[:3, :3].T + chosen[:3, 3])
    back, _, _ = first.nearest((_split(b).vertices - chosen[:3, 3]) @ np.linalg.inv(chosen[:3, :3]).T)
    return Deviation(fine, forth, float(max(forth.max(), back.max())))


def _best(a: Surface, b: Surface, *, mirrored: bool) -> Array:
    """Return the motion that leaves the least distance on average.

    What both have in common is laid on one another, by the places that are close: what differs would pull
    the rest along.
    """
    places, _ = a.samples(_SAMPLES)
    starts = [align(a, b, improper=mirrored)[0], *([] if mirrored else [np.eye(4)])]
    motions = [_settled(places, b, start) for start in starts]
    left = [float(_distances(places, b, motion).mean()) for motion in motions]
    return motions[int(np.argmin(left))]


def _settled(places: Array, b: Surface, motion: Array) -> Array:
    for _ in range(_ROUNDS):
        distances = _distances(places, b, motion)
        motion = refined(places[distances <= np.quantile(distances, _COMMON)], b, motion)
    return motion


def _distances(places: Array, b: Surface, motion: Array) -> Array:
    return b.nearest(places @ motion[:3, :3].T + motion[:3, 3])[0]


def _split(mesh: TriangleMesh) -> TriangleMesh:
    """Split facets with long sides in four, again and again; what is joined stays in place."""
    vertices, triangles = mesh.vertices, mesh.triangles
    longest = float(np.linalg.norm(np.ptp(vertices, axis=0))) / _FINENESS
    while longest > 0.0 and len(triangles) < _MOST_FACETS:
        corners = vertices[triangles]
        sides = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2).max(axis=1)
        wide = np.flatnonzero(sides > longest)
        if not len(wide) or len(triangles) + 3 * len(wide) > 2 * _MOST_FACETS:
            break
        ends = np.sort(triangles[wide][:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
        pairs, numbers = np.unique(ends, axis=0, return_inverse=True)
        middles = numbers.reshape(-1, 3) + len(vertices)
        a, b, c = triangles[wide].T
        ab, bc, ca = middles.T
        parts = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        whole = np.delete(triangles, wide, axis=0)
        triangles = np.concatenate([whole, *(np.column_stack(part) for part in parts)])
        vertices = np.concatenate([vertices, vertices[pairs].mean(axis=1)])
    return TriangleMesh(vertices, triangles)
