"""Tells apart the bodies of loose faces that touch one another."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence

from cadml_plugins.formats.kernel import _geometry, _topology
from cadml_plugins.formats.kernel._occt import Shape


def split(faces: Sequence[Shape], tolerance: float) -> list[list[Shape]]:
    """Group faces by body: those that share an edge belong together.

    Where four faces or more meet at an edge, bodies touch. Files list the faces of a body one after the
    other, so there each face belongs with the next one in the file.

    Args:
        faces: In the order of the file.
        tolerance: Largest distance, in millimetres, between the ends of edges that are the same.
    """
    uses: dict[Hashable, list[int]] = defaultdict(list)
    for number, face in enumerate(faces):
        for key in set(_keys(face, 4.0 * tolerance)):
            uses[key].append(number)
    parents = list(range(len(faces)))
    for numbers in uses.values():
        for one, other in zip(numbers[::2], numbers[1::2], strict=False):
            parents[_root(parents, one)] = _root(parents, other)
    bodies: dict[int, list[Shape]] = defaultdict(list)
    for number, face in enumerate(faces):
        bodies[_root(parents, number)].append(face)
    return list(bodies.values())


def _keys(face: Shape, cell: float) -> Iterator[Hashable]:
    """Yield what tells an edge from others: its ends, in either order, and its middle, on a grid."""
    for edge in _topology.explore(face, _topology.EDGE):
        points = _geometry.edge_points(edge)
        if points and all(math.isfinite(x / cell) for point in points for x in point):
            first, middle, last = (
                (math.floor(x / cell), math.floor(y / cell), math.floor(z / cell)) for x, y, z in points
            )
            yield (min(first, last), middle, max(first, last))


def _root(parents: list[int], number: int) -> int:
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = parents[number]
    return number
