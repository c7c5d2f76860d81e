"""The edges between the facets of a welded mesh: its components, faults and closed shells."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cadml_core import FacetQuality
from cadml_plugins.formats.mesh._facets import Facets
from cadml_plugins.formats.mesh._shells import Shells, closed_shells

MOST_FACETS = 1 << 19
"""Largest mesh whose edges are analysed; that takes half a second."""
_PACKED = 1 << 21
"""Three vertex numbers below this fit into one 63-bit key."""
_MOST = (1 << 63) - 1


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


def analyse(facets: Facets, triangles: NDArray[np.int64], vertices: int, degenerate: int) -> Topology:
    """Examine a welded mesh.

    Args:
        facets: n.
        triangles: int64 (n, 3), their vertex numbers below ``vertices``.
        vertices: How many vertices there are.
        degenerate: How many facets have no area.
    """
    a, b, c = triangles.T
    # A triangle with two equal corners has no inside, and would join facets at a point.
    whole = (a != b) & (b != c) & (c != a)
    numbers = None if whole.all() else np.flatnonzero(whole)
    if numbers is None:
        kept, places = triangles, facets
    else:
        kept, places = triangles[numbers], facets.some(numbers)
    edges = _Edges(kept, vertices)
    labels = _components(len(kept), edges.sides[0] // 3, edges.sides[1] // 3)
    roots = np.flatnonzero(labels == np.arange(len(labels)))
    faulty = edges.faulty_facets()
    quality = FacetQuality(
        vertices=vertices,
        components=len(roots),
        boundary_edges=int(np.count_nonzero(edges.uses == 1)),
        non_manifold_edges=int(np.count_nonzero(edges.uses > 2)),
        degenerate=degenerate,
        # Where every edge has two facets, those with the same vertices are a component of their own.
        duplicate=0 if edges.paired and len(roots) == 1 < whole.sum() - 1 else _duplicates(a, b, c, vertices),
        watertight=bool(len(kept)) and not len(faulty),
    )
    closed = roots[~np.isin(roots, labels[faulty])] if len(faulty) else roots
    shells = closed_shells(places, labels, closed, numbers)
    sides = edges.sides
    if numbers is not None:
        sides = (_renumbered(sides[0], numbers), _renumbered(sides[1], numbers))
    return Topology(quality, not edges.unbalanced.any(), edges.loose_vertices(), sides, shells)


def _renumbered(sides: NDArray[np.int64], numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return sides of facets by the ``numbers`` of these."""
    return np.asarray(3 * numbers[sides // 3] + sides % 3)


class _Edges:
    """The undirected edges of triangles, sorted so that the uses of one edge are adjacent.

    ``uses`` counts the triangles at each edge; ``faulty`` marks the edges without exactly two triangles that
    use them in opposite directions, ``unbalanced`` those used more often in one direction than in the other.
    ``sides`` are pairs of sides, three to a triangle, that are one edge: enough to connect all that are.
    ``paired`` tells whether every edge has two.
    """

    def __init__(self, triangles: NDArray[np.int64], vertices: int) -> None:
        start, end = triangles.reshape(-1), triangles.take((1, 2, 0), axis=1).reshape(-1)
        # An edge has the same key in both directions but for its lowest bit, so one sort brings its uses
        # together and keeps their directions.
        key = 2 * (np.minimum(start, end) * vertices + np.maximum(start, end)) + (start > end)
        order, key = _sorted(key, 2 * vertices * vertices)
        edge = key >> 1
        self._side, self._edge, self._vertices = order, edge, vertices
        backwards = self._pair(key & 1) if _in_pairs(edge) else self._group(key & 1)
        self.faulty = (self.uses != 2) | (backwards != 1)
        self.unbalanced = self.uses != 2 * backwards

    def _pair(self, backwards: NDArray[np.int64]) -> NDArray[np.int64]:
        """Note that each edge has two uses; return how many of them are backwards."""
        self.paired = True
        self.sides = self._side[::2], self._side[1::2]
        self.uses = np.full(len(self._side) // 2, 2)
        both: NDArray[np.int64] = backwards[::2] + backwards[1::2]
        return both

    def _group(self, backwards: NDArray[np.int64]) -> NDArray[np.int64]:
        """Find the uses of each edge; return how many of them are backwards."""
        self.paired = False
        same = self._edge[1:] == self._edge[:-1]
        self.sides = self._side[:-1][same], self._side[1:][same]
        first = np.flatnonzero(np.concatenate((np.ones(min(1, len(self._edge)), bool), ~same)))
        self.uses = np.diff(first, append=len(self._edge))
        return np.add.reduceat(backwards, first) if len(first) else first

    def loose_vertices(self) -> NDArray[np.int64]:
        """Return the vertices at unbalanced edges, each once."""
        if not self.unbalanced.any():
            return np.empty(0, np.int64)
        loose = self._edge[np.repeat(self.unbalanced, self.uses)]
        return np.unique(np.concatenate((loose // self._vertices, loose % self._vertices)))

    def faulty_facets(self) -> NDArray[np.int64]:
        """Return the facets at faulty edges."""
        if not self.faulty.any():
            return np.empty(0, np.int64)
        faulty: NDArray[np.int64] = self._side[np.repeat(self.faulty, self.uses)] // 3
        return faulty


def _in_pairs(edges: NDArray[np.int64]) -> bool:
    """Tell whether each of sorted numbers is there twice."""
    one, other = edges[::2], edges[1::2]
    return len(one) == len(other) and bool((one == other).all() and (other[:-1] != one[1:]).all())


def _sorted(keys: NDArray[np.int64], below: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the order of keys, and the keys in it."""
    bits = len(keys).bit_length()
    if below << bits > _MOST:
        order = np.argsort(keys)
        return order, keys[order]
    packed = np.sort((keys << bits) | np.arange(len(keys)))  # in less time than their order is found
    return packed & ((1 << bits) - 1), packed >> bits


def _components(count: int, one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Label connected facets with the number of one of them, the root of their component.

    Roots are hooked to smaller ones and paths halved until nothing changes (Y. Shiloach and U. Vishkin, "An
    O(log n) parallel connectivity algorithm", 1982).
    """
    parent = np.arange(count)
    while len(one):
        low, high = np.minimum(one, other), np.maximum(one, other)
        parent[high] = low
        while not ((grand := parent[parent]) == parent).all():
            parent = grand
        one, other = parent[one], parent[other]
        apart = one != other
        one, other = one[apart], other[apart]
    return parent


def _duplicates(
    one: NDArray[np.int64], two: NDArray[np.int64], three: NDArray[np.int64], vertices: int
) -> int:
    # A repeated facet may begin at another corner or face the other way.
    a = np.minimum(np.minimum(one, two), three)
    c = np.maximum(np.maximum(one, two), three)
    b = one + two + three - a - c
    if vertices <= _PACKED:
        keys = np.sort((a * vertices + b) * vertices + c)
        return int(np.count_nonzero(keys[1:] == keys[:-1]))
    keys = a * vertices + b
    order = np.lexsort((c, keys))
    keys, last = keys[order], c[order]
    return int(np.count_nonzero((keys[1:] == keys[:-1]) & (last[1:] == last[:-1])))
