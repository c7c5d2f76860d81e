"""The edges between the facets of a welded mesh: its components, faults and closed solids."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cadml_core import FacetQuality
from cadml_plugins.formats.mesh._welding import Corners

MOST_FACETS = 1 << 19
"""Largest mesh whose edges are analysed; that takes half a second."""
_PACKED = 1 << 21
"""Three vertex numbers below this fit into one 63-bit key."""


class Topology(NamedTuple):
    """The quality of the mesh, and how many of its components are closed solids."""

    quality: FacetQuality
    closed_components: int
    """Components that enclose volume outwards and have no faulty edge: one that is open, shared by more than
    two facets, or used twice in one direction."""


def analyse(corners: Corners, triangles: NDArray[np.int64], vertices: int, degenerate: int) -> Topology:
    """Examine a welded mesh.

    Args:
        corners: (n, 3, 3), as they were welded.
        triangles: int64 (n, 3), vertex numbers below ``vertices``.
        vertices: How many vertices there are.
        degenerate: How many facets have no area.
    """
    a, b, c = triangles.T
    # A triangle with two equal corners has no inside, and would join facets at a point.
    whole = (a != b) & (b != c) & (c != a)
    kept = triangles[whole]
    edges = _Edges(kept, vertices)
    labels = _components(len(kept), *edges.neighbours())
    roots = np.unique(labels)
    quality = FacetQuality(
        vertices=vertices,
        components=len(roots),
        boundary_edges=int(np.count_nonzero(edges.uses == 1)),
        non_manifold_edges=int(np.count_nonzero(edges.uses > 2)),
        degenerate=degenerate,
        duplicate=_duplicates(triangles, vertices),
        watertight=bool(len(kept)) and not edges.faulty.any(),
    )
    return Topology(quality, _closed_components(corners[whole], labels, roots, edges.faulty_facets()))


class _Edges:
    """The undirected edges of triangles, sorted so that the uses of one edge are adjacent.

    ``uses`` counts the triangles at each edge; ``faulty`` marks the edges without exactly two triangles that
    use them in opposite directions.
    """

    def __init__(self, triangles: NDArray[np.int64], vertices: int) -> None:
        start, end = triangles.reshape(-1), triangles[:, [1, 2, 0]].reshape(-1)
        # An edge has the same key in both directions but for its lowest bit, so one sort brings its uses
        # together and keeps their directions.
        key = 2 * (np.minimum(start, end) * vertices + np.maximum(start, end)) + (start > end)
        order = np.argsort(key)
        key = key[order]
        edge = key >> 1
        self._facet = order // 3
        self._same_as_next = edge[1:] == edge[:-1]
        first = np.flatnonzero(np.concatenate((np.ones(min(1, len(edge)), bool), ~self._same_as_next)))
        self.uses = np.diff(first, append=len(edge))
        backwards = np.add.reduceat(key & 1, first) if len(first) else first
        self.faulty = (self.uses != 2) | (backwards != 1)

    def neighbours(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return pairs of facets that share an edge: enough of them to connect all that do."""
        return self._facet[:-1][self._same_as_next], self._facet[1:][self._same_as_next]

    def faulty_facets(self) -> NDArray[np.int64]:
        """Return the facets at faulty edges."""
        faulty: NDArray[np.int64] = self._facet[np.repeat(self.faulty, self.uses)]
        return faulty


def _components(count: int, one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Label connected facets with the number of one of them, the root of their component.

    Roots are hooked to smaller ones and paths halved until nothing changes (Y. Shiloach and U. Vishkin, "An
    O(log n) parallel connectivity algorithm", 1982).
    """
    parent = np.arange(count)
    while len(one):
        low, high = np.minimum(one, other), np.maximum(one, other)
        parent[high] = low
        while not np.array_equal(grand := parent[parent], parent):
            parent = grand
        one, other = parent[one], parent[other]
        apart = one != other
        one, other = one[apart], other[apart]
    return parent


def _closed_components(
    corners: Corners, labels: NDArray[np.int64], roots: NDArray[np.int64], faulty: NDArray[np.int64]
) -> int:
    """Count the components that are closed and face the way most of the volume does.

    A closed component that faces the other way is the wall of a cavity.
    """
    if not len(labels):
        return 0
    # About the first corner, so that a mesh far from the origin loses no digits.
    a, b, c = np.ascontiguousarray((corners - corners[0, 0].astype(np.float64)).transpose(1, 2, 0))
    determinants = (
        a[0] * (b[1] * c[2] - b[2] * c[1])
        + a[1] * (b[2] * c[0] - b[0] * c[2])
        + a[2] * (b[0] * c[1] - b[1] * c[0])
    )
    volumes = np.bincount(labels, determinants, minlength=len(labels))[roots]
    closed = ~np.isin(roots, labels[faulty])
    return int(np.count_nonzero(closed & (volumes * np.sign(volumes.sum()) > 0)))


def _duplicates(triangles: NDArray[np.int64], vertices: int) -> int:
    a, b, c = np.sort(
        triangles, axis=1
    ).T  # a repeated facet may begin at another corner or face the other way
    if vertices <= _PACKED:
        keys = np.sort((a * vertices + b) * vertices + c)
        return int(np.count_nonzero(keys[1:] == keys[:-1]))
    keys = a * vertices + b
    order = np.lexsort((c, keys))
    keys, last = keys[order], c[order]
    return int(np.count_nonzero((keys[1:] == keys[:-1]) & (last[1:] == last[:-1])))
