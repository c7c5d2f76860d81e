"""What must be true of every answer of an index, whatever it holds."""

from __future__ import annotations

import numpy as np

from cadml_core.contracts.vectors import Hits
from cadml_core.documents.arrays import Int64Array


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
