"""Clusters of points that are near one another: average linkage, cut where it pays to cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cadml_core.families.neighbours import Neighbours

Labels = NDArray[np.int64]
CUT = 0.52
"""Where dendrograms are cut, over the median distance of unrelated parts: what fitted labelled parts best."""
CUTS = tuple(round(0.2 + 0.04 * step, 2) for step in range(13))
"""Those that are tried where enough parts are labelled."""
_MOST_TOGETHER = 4_000
"""So many points have all their distances in memory; larger components are cut by shorter distances first."""
_SHRINK = 0.85
_PAIRS = 20_000


def unrelated(vectors: NDArray[np.float32]) -> float:
    """Return the median distance of random pairs of points: the unit of cuts."""
    if len(vectors) < 2:
        return 1.0
    pairs = np.random.default_rng(0).integers(0, len(vectors), (_PAIRS, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    gaps = np.linalg.norm(vectors[pairs[:, 0]] - vectors[pairs[:, 1]], axis=1)
    return float(np.median(gaps)) or 1.0


def clusters(vectors: NDArray[np.float32], near: Neighbours, cut: float) -> Labels:
    """Return a cluster number for each point, from 0, those of the first points first.

    Two clusters are joined while the mean distance between their points is at most the cut. As that needs two
    points within the cut, components of the graph of near points are dealt with one by one.

    Args:
        vectors: The points, (n, d).
        near: Their nearest neighbours.
        cut: A distance.
    """
    found = np.zeros(len(vectors), np.int64)
    if not len(vectors):
        return found
    count = 0
    for members in _components(near, np.arange(len(vectors)), cut):
        few = len(members) <= _MOST_TOGETHER
        inside = _linked(vectors[members], cut) if few else np.zeros(len(members), np.int64)
        found[members] = inside + count
        count += int(inside.max()) + 1
    _, first, inverse = np.unique(found, return_index=True, return_inverse=True)
    order = np.empty(len(first), np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    return np.asarray(order[inverse], np.int64)


def _components(near: Neighbours, members: Labels, cut: float) -> Iterable[Labels]:
    """Yield points that near points lead to one another; of too many, by ever shorter distances."""
    rows, columns = near.within(cut, members)
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(len(members), len(members)))
    count, labels = connected_components(graph, directed=False)
    order = np.argsort(labels, kind="stable")
    for inside in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        chosen = members[inside]
        if len(chosen) > _MOST_TOGETHER and cut > 1e-6 and count >= 1:
            yield from _components(near, chosen, cut * _SHRINK)
        else:
            yield chosen


def _linked(points: NDArray[np.float32], cut: float) -> Labels:
    if len(points) < 2:
        return np.zeros(len(points), np.int64)
    tree = linkage(points.astype(np.float64), "average")
    return np.asarray(fcluster(tree, cut, "distance"), np.int64) - 1


def best_cut(
    cut_at: Callable[[float], Labels], known: NDArray[np.int64], cuts: Iterable[float] = CUTS
) -> tuple[float, float]:
    """Return the cut whose clusters agree best with what is known, and the V-measure of it.

    Args:
        cut_at: Makes the clusters of all points.
        known: A label for each point, -1 where there is none.
        cuts: Those to try.
    """
    labelled = known >= 0
    scored = [(v_measure(known[labelled], cut_at(cut)[labelled]), -cut) for cut in cuts]
    score, negative = max(scored)
    return -negative, score


def v_measure(truth: NDArray[np.int64], found: NDArray[np.int64]) -> float:
    """Return the harmonic mean of homogeneity and completeness, 0 to 1 (Rosenberg and Hirschberg, 2007)."""
    if not len(truth):
        return 0.0
    _, rows = np.unique(truth, return_inverse=True)
    _, columns = np.unique(found, return_inverse=True)
    table = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(table, (rows, columns), 1.0)
    shares = table / table.sum()
    both, one, other = _entropy(shares.ravel()), _entropy(shares.sum(axis=1)), _entropy(shares.sum(axis=0))
    mutual = one + other - both
    homogeneity = mutual / one if one else 1.0
    completeness = mutual / other if other else 1.0
    total = homogeneity + completeness
    return 2.0 * homogeneity * completeness / total if total else 0.0


def _entropy(shares: NDArray[np.float64]) -> float:
    there = shares[shares > 0.0]
    return float(-(there * np.log(there)).sum())
