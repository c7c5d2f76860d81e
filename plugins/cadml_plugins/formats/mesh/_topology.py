"""The edges between the facets of a welded mesh: its components, faults and closed shells."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cadml_core import FacetQuality
from cadml_plugins.formats.mesh._shells import Shells, closed_shells
from cadml_plugins.formats.mesh._welding import Corners

MOST_FACETS = 1 << 19
"""Largest mesh whose edges are analysed; that takes half a second."""
_PACKED = 1 << 21
"""Three vertex numbers below this fit into one 63-bit key."""


class Topology(NamedTuple):
    """What the edges tell."""

    quality: FacetQuality
    closed: bool
    """Every edge is used as often in one direction as in the other: the facets enclose their volume."""
    loose: NDArray[np.int64]
    """The vertices at the other edges, each once."""
    sides: tuple[NDArray[np.int64], NDArray[np.int64]]
    """Pairs of sides of facets that are one edge; side 3 n + k runs from corner k of facet n to the next."""
    shells: Shells
    """Components without a faulty edge: one that is open, shared by more than two facets, or used twice in
    one direction."""

    @property
    def closed_components(self) -> int:
        """How many components are closed solids."""
        return self.shells.solids


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
    closed = ~np.isin(roots, labels[edges.faulty_facets()])
    shells = closed_shells(corners[whole], labels, roots[closed], np.flatnonzero(whole))
    numbers = np.flatnonzero(whole)
    one, other = (3 * numbers[side // 3] + side % 3 for side in edges.sides())
    return Topology(quality, not edges.unbalanced.any(), edges.loose_vertices(), (one, other), shells)


class _Edges:
    """The undirected edges of triangles, sorted so that the uses of one edge are adjacent.

    ``uses`` counts the triangles at each edge; ``faulty`` marks the edges without exactly two triangles that
    use them in opposite directions, ``unbalanced`` those used more often in one direction than in the other.
    """

    def __init__(self, triangles: NDArray[np.int64], vertices: int) -> None:
        start, end = triangles.reshape(-1), triangles[:, [1, 2, 0]].reshape(-1)
        # An edge has the same key in both directions but for its lowest bit, so one sort brings its uses
        # together and keeps their directions.
        key = 2 * (np.minimum(start, end) * vertices + np.maximum(start, end)) + (start > end)
        order = np.argsort(key)
        key = key[order]
        edge = key >> 1
        self._side, self._facet = order, order // 3
        self._edge, self._vertices = edge, vertices
        self._same_as_next = edge[1:] == edge[:-1]
        first = np.flatnonzero(np.concatenate((np.ones(min(1, len(edge)), bool), ~self._same_as_next)))
        self.uses = np.diff(first, append=len(edge))
        backwards = np.add.reduceat(key & 1, first) if len(first) else first
        self.faulty = (self.uses != 2) | (backwards != 1)
        self.unbalanced = self.uses != 2 * backwards

    def neighbours(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return pairs of facets that share an edge: enough of them to connect all that do."""
        return self._facet[:-1][self._same_as_next], self._facet[1:][self._same_as_next]

    def sides(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the same pairs as numbers of sides, three to a facet."""
        return self._side[:-1][self._same_as_next], self._side[1:][self._same_as_next]

    def loose_vertices(self) -> NDArray[np.int64]:
        """Return the vertices at unbalanced edges, each once."""
        if not self.unbalanced.any():
            return np.empty(0, np.int64)
        loose = self._edge[np.repeat(self.unbalanced, self.uses)]
        return np.unique(np.concatenate((loose // self._vertices, loose % self._vertices)))

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
