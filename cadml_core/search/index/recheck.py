"""Check what an index answers, its form and against the catalogue, so that one that is wrong does not go on.

An index that raises is seen at once. One that names other parts than the nearest, or states other distances
than theirs, is not: its answers have the right form. So answers are measured again from the stored values:
while there are few vectors, every answer, and against all vectors, so that a neighbour left out is seen;
from then on a share of the answers, and of these only the hits, as reading every vector would cost more
than the search.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cadml_core.catalog.engine import PART
from cadml_core.catalog.store import Catalog
from cadml_core.contracts.vectors import Hits
from cadml_core.documents.arrays import FloatMatrix, FloatVector, Int64Array
from cadml_core.search.spaces import Space, exact_distances

ALL_BELOW = 1000
"""Up to so many vectors every answer is compared with all of them."""
SHARE = 0.05
"""Share of the answers whose hits are measured again where there are more."""
MOST_QUERIES = 16
"""Most queries of one answer that are compared where there are more vectors than that."""
LEAST_RECALL = 0.9
"""Share of neighbours that must be as near as the true ones; an approximate index may miss a few."""
_MEMORY = 200
"""About so many neighbours are remembered to judge by, so that misses of long ago count no more."""


class IndexFailed(Exception):
    """The index, not the catalogue and not the question, is at fault."""


def require_plausible(hits: Hits, queries: int, k: int, allowed: Int64Array | None) -> None:
    """Refuse what breaks the contract of ``Hits`` in a way that can be seen without the vectors.

    Raises:
        IndexFailed: Wrong shapes, distances out of order, an id twice or one that the filter excludes.
    """
    ids, distances = hits.ids, hits.distances
    if ids.shape != (queries, k) or distances.shape != (queries, k):
        raise IndexFailed(f"search: returned shapes {ids.shape}, {distances.shape}, expected {(queries, k)}")
    # Of NaN nothing is true, so it is caught here too.
    if not ((distances[:, 0] >= 0).all() and (distances[:, 1:] >= distances[:, :-1]).all()):
        raise IndexFailed("search: returned distances that do not ascend from 0")
    ordered = np.sort(ids, axis=1)
    if bool(((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any()):
        raise IndexFailed("search: returned an id twice for one query")
    if allowed is not None:
        found = ids[ids >= 0]
        position = np.searchsorted(allowed, found)
        position[position == len(allowed)] = 0
        if len(found) and not (len(allowed) and bool((allowed[position] == found).all())):
            raise IndexFailed("search: returned ids that the filter does not allow")


def require_full(hits: Hits, expected: int) -> None:
    """Refuse fewer hits than the index must have: what it held was lost outside this process.

    Raises:
        IndexFailed: There are fewer than expected.
    """
    if expected and hits.ids[:, expected - 1].min(initial=0) < 0:
        raise IndexFailed(f"search: returned fewer than {expected} hits, but it was given as many vectors")


class Known(NamedTuple):
    """Vectors as the catalogue has them."""

    rows: Int64Array
    """Row numbers, ascending."""
    points: FloatMatrix
    """The same in the space, (n, dimension)."""

    def positions(self, ids: Int64Array, what: str) -> Int64Array:
        """Return where these ids are among the rows.

        Raises:
            IndexFailed: One of them has no vector.
        """
        found = np.minimum(np.searchsorted(self.rows, ids), max(len(self.rows) - 1, 0))
        if len(ids) and not (len(self.rows) and bool((self.rows[found] == ids).all())):
            raise IndexFailed(f"{what}: returned ids of parts that have no vector")
        return found


def require_true(
    space: Space, query: FloatVector, points: FloatMatrix, claimed: NDArray[np.float32], what: str
) -> FloatVector:
    """Measure the distances of hits again and return them, float64 (n,).

    Raises:
        IndexFailed: The claimed ones are others, by more than arithmetic in float32 explains.
    """
    true = exact_distances(space, query, points)
    if not bool((np.abs(true - claimed) <= slack(space, query, points, true)).all()):
        raise IndexFailed(f"{what}: the distances of the hits are not those of their vectors")
    return true


def slack(space: Space, query: FloatVector, points: FloatMatrix, true: FloatVector) -> FloatVector:
    """Return by how much a distance may be off, (n,).

    An engine may compute ``|a|² + |b|² - 2ab`` in float32, which is as exact as the squares are large.
    """
    allowed: FloatVector = 1e-5 + 1e-3 * true
    if space.metric == "l2":
        wide = points.astype(np.float64)
        allowed += 1e-6 * (np.einsum("nd,nd->n", wide, wide) + float(np.dot(query, query)))
    return allowed


class Recheck:
    """Compares answers of one index of one space with the catalogue. Thread-safe.

    Args:
        catalog: What the index is a copy of.
        space: Where distances are measured.
        chance: Returns a number in [0, 1); an answer is compared where that is below the share.
    """

    def __init__(self, catalog: Catalog, space: Space, chance: Callable[[], float] = random.random) -> None:
        self._catalog = catalog
        self._space = space
        self._chance = chance
        self._lock = threading.Lock()
        self._known: Known | None = None
        self._change = 0
        """The change after which the known vectors were read."""
        self._settled = False
        """Whether nothing was changed while they were read."""
        self._near = self._wanted = 0.0

    def compare(
        self, queries: FloatMatrix, hits: Hits, allowed: Int64Array | None, size: int, applied: int
    ) -> None:
        """Compare one answer, if it is to be compared.

        Parts that others have changed since are left out of the comparison.

        Args:
            queries: Projected, (q, dimension).
            hits: What the index answered.
            allowed: The rows that it could choose from; None: all.
            size: How many vectors it held.
            applied: The last change that it held.

        Raises:
            IndexFailed: A distance is not that of the vector, or too few hits are among the nearest.
        """
        if size <= ALL_BELOW:
            known, moving = self._all(applied)
            self._compare_with_all(queries, hits, allowed, known, moving)
        elif self._chance() < SHARE:
            self._known = None
            self._compare_hits(queries[:MOST_QUERIES], hits, applied)

    def _moving(self, since: int) -> Int64Array:
        """Rows that were changed since."""
        changes = self._catalog.changes_since(since, PART)
        return np.array(sorted({int(change.key) for change in changes}), dtype=np.int64)

    def _read(self, rows: Int64Array | None = None) -> Known:
        wanted = None if rows is None else rows.tolist()
        found, raw = self._catalog.vectors(self._space.feature.name, wanted)
        if not len(found):
            return Known(found, np.empty((0, self._space.dimension), dtype=np.float32))
        return Known(found, self._space.project(raw))

    def _all(self, applied: int) -> tuple[Known, Int64Array]:
        """Return every vector, and the rows that have been changed since the index looked."""
        with self._lock:
            known = self._known
            if known is None or self._change != applied:
                newest = self._catalog.last_change()
                if known is None or newest < self._change:
                    known = self._read()
                else:
                    changed = self._moving(self._change)
                    known = _replaced(known, changed, self._read(changed))
                self._known, self._change = known, newest
                self._settled = newest == applied and not len(self._moving(newest))
            elif self._settled:
                return known, np.empty(0, dtype=np.int64)
        return known, self._moving(applied)

    def _compare_with_all(
        self, queries: FloatMatrix, hits: Hits, allowed: Int64Array | None, known: Known, moving: Int64Array
    ) -> None:
        if len(moving):
            known = _without(known, moving)
        choice = known if allowed is None else _only(known, allowed)
        near = wanted = 0
        for query, ids, claimed in zip(queries, hits.ids, hits.distances, strict=True):
            settled = (ids >= 0) & ~np.isin(ids, moving) if len(moving) else ids >= 0
            position = known.positions(ids[settled], "search")
            true = require_true(self._space, query, known.points[position], claimed[settled], "search")
            # A hit that is left out has taken the place of one that is not.
            k = min(len(ids) - int((ids >= 0).sum()) + len(true), len(choice.rows))
            if not k:
                continue
            exact = exact_distances(self._space, query, choice.points)
            bounds = exact + slack(self._space, query, choice.points, exact)
            if not len(moving) and true[0] > bounds[int(exact.argmin())]:
                raise IndexFailed("search: left out the nearest")
            near += min(k, int((true <= bounds[int(np.argpartition(exact, k - 1)[k - 1])]).sum()))
            wanted += k
        self._judge(near, wanted)

    def _judge(self, near: int, wanted: int) -> None:
        with self._lock:
            self._near += near
            self._wanted += wanted
            near_now, wanted_now = self._near, self._wanted
            if wanted_now > _MEMORY:
                self._near, self._wanted = near_now / 2, wanted_now / 2
        if near_now < LEAST_RECALL * wanted_now:
            raise IndexFailed(
                f"search: only {near_now:.0f} of {wanted_now:.0f} neighbours are as near as the nearest"
            )

    def _compare_hits(self, queries: FloatMatrix, hits: Hits, applied: int) -> None:
        ids = hits.ids[: len(queries)]
        known = self._read(np.unique(ids[ids >= 0]))
        moving = self._moving(applied)
        for query, found, claimed in zip(queries, ids, hits.distances, strict=False):
            settled = (found >= 0) & ~np.isin(found, moving)
            position = known.positions(found[settled], "search")
            require_true(self._space, query, known.points[position], claimed[settled], "search")


def _only(known: Known, rows: Int64Array) -> Known:
    kept = np.isin(known.rows, rows)
    return Known(known.rows[kept], known.points[kept])


def _without(known: Known, rows: Int64Array) -> Known:
    kept = ~np.isin(known.rows, rows)
    return Known(known.rows[kept], known.points[kept])


def _replaced(known: Known, changed: Int64Array, fresh: Known) -> Known:
    """Return the known vectors with those of changed rows as they are now."""
    left = _without(known, changed)
    rows = np.concatenate([left.rows, fresh.rows])
    order = np.argsort(rows)
    return Known(rows[order], np.concatenate([left.points, fresh.points])[order])
