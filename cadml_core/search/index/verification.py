"""Check a rebuilt index against the catalogue before anything relies on it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cadml_core.catalog.engine import PART
from cadml_core.catalog.store import Catalog
from cadml_core.documents.arrays import FloatMatrix, FloatVector, Int64Array
from cadml_core.search.index.sync import IndexFailed, IndexFollower
from cadml_core.search.spaces import ExactDistances

SAMPLE = 8
NEIGHBOURS = 10
LEAST_RECALL = 0.9
"""Share of neighbours that must be as near as the true ones; an approximate index may miss a few."""


def verify(follower: IndexFollower, catalog: Catalog) -> None:
    """Bring an index up to date and compare its size and a sample of searches with the catalogue.

    Every hit must be a part with a vector, at the distance that is claimed; and together the hits
    must be as near as the nearest, computed here from the stored values. Parts that others change
    meanwhile are left out of the comparison.

    Raises:
        IndexFailed: It does not hold what the catalogue holds, or its hits are not the nearest.
    """
    before = catalog.last_change()
    follower.catch_up()
    rows, raw = catalog.vectors(follower.space.feature.name)
    size = len(follower)
    moving = np.array([int(change.key) for change in catalog.changes_since(before, PART)], dtype=np.int64)
    if abs(size - len(rows)) > len(moving):
        raise IndexFailed(f"verification: the index holds {size} vectors, the catalogue {len(rows)}")
    settled = np.flatnonzero(~np.isin(rows, moving))
    if not len(settled):
        return
    picked = settled[np.unique(np.linspace(0, len(settled) - 1, SAMPLE).astype(np.int64))]
    _verify_searches(follower, rows, raw, picked, moving)


def _verify_searches(
    follower: IndexFollower, rows: Int64Array, raw: FloatMatrix, picked: Int64Array, moving: Int64Array
) -> None:
    k = min(NEIGHBOURS, len(rows))
    hits = follower.search(follower.space.project(raw[picked]), k)
    distances = ExactDistances(follower.space, raw)
    near = wanted = 0
    for ids, claimed, position in zip(hits.ids, hits.distances, picked, strict=True):
        compared = ~np.isin(ids, moving)
        exact = distances.to(int(position))
        near += _count_near(ids[compared], claimed[compared], rows, exact, k)
        wanted += int(compared.sum())
    if near < LEAST_RECALL * wanted:
        raise IndexFailed(f"verification: only {near} of {wanted} neighbours are as near as the nearest")


def _count_near(
    ids: Int64Array, claimed: NDArray[np.float32], rows: Int64Array, exact: FloatVector, k: int
) -> int:
    """Check what one query found; returns how many of the hits are as near as the k nearest."""
    position = np.minimum(np.searchsorted(rows, ids), len(rows) - 1)
    if not bool((rows[position] == ids).all()) or len(np.unique(ids)) != len(ids):
        raise IndexFailed(f"verification: found ids that are not in the catalogue, or twice: {ids.tolist()}")
    true = exact[position]
    if not np.allclose(true, claimed, rtol=1e-3, atol=1e-5):
        raise IndexFailed("verification: the distances of the hits are not those of their vectors")
    kth = np.partition(exact, k - 1)[k - 1]
    return int((true <= kth * (1.0 + 1e-3) + 1e-5).sum())
