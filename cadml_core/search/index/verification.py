"""Check a rebuilt index against the catalogue before anything relies on it."""

from __future__ import annotations

import numpy as np

from cadml_core.catalog.engine import PART
from cadml_core.catalog.store import Catalog
from cadml_core.documents.arrays import FloatMatrix, Int64Array
from cadml_core.search.index.recheck import LEAST_RECALL, IndexFailed, Known, require_true
from cadml_core.search.index.sync import IndexFollower
from cadml_core.search.spaces import exact_distances

SAMPLE = 8
NEIGHBOURS = 10


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
    space = follower.space
    known = Known(rows, space.project(raw))
    queries = known.points[picked]
    hits = follower.search(queries, k)
    near = wanted = 0
    for query, ids, claimed in zip(queries, hits.ids, hits.distances, strict=True):
        compared = ~np.isin(ids, moving)
        points = known.points[known.positions(ids[compared], "verification")]
        true = require_true(space, query, points, claimed[compared], "verification")
        kth = np.partition(exact_distances(space, query, known.points), k - 1)[k - 1]
        near += int((true <= kth * (1.0 + 1e-3) + 1e-5).sum())
        wanted += int(compared.sum())
    if near < LEAST_RECALL * wanted:
        raise IndexFailed(f"verification: only {near} of {wanted} neighbours are as near as the nearest")
