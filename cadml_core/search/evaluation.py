"""How well a space puts parts of one label together: leave-one-out retrieval figures."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from cadml_core.documents.arrays import FloatMatrix
from cadml_core.errors import InvalidInput
from cadml_core.search.spaces import Space, unit_rows

_ROWS_AT_ONCE = 512


class Evaluation(msgspec.Struct, frozen=True):
    """Retrieval figures of one space over labelled parts."""

    feature_version: str
    metric: str
    parts: int
    """Labelled parts searched."""
    queries: int
    """Those of them whose label another part shares."""
    labels: int
    mean_average_precision: float
    precision_at_1: float
    precision_at_5: float


def evaluate(space: Space, raw: FloatMatrix, labels: Sequence[str]) -> Evaluation:
    """Search every labelled part among all others and see which have its label.

    Args:
        space: Where distances are measured.
        raw: Raw values, (n, slots).
        labels: The label of each row, n of them.

    Returns:
        mAP is the mean over queries of average precision (the mean, over the ranks at which parts
        of the query's label stand, of the share of such parts up to that rank); P@k the mean share of
        them among the first k. Ties are in the order of rows. Source: Manning, Raghavan and Schütze,
        "Introduction to Information Retrieval" (2008), section 8.4.

    Raises:
        InvalidInput: No label is shared by two parts, so there is nothing to find.
    """
    names, codes, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    queries = np.flatnonzero(counts[codes] > 1)
    if not len(queries):
        raise InvalidInput(
            "no two parts share a label, so there is nothing to evaluate; ingest with --label-from parent,"
            " or evaluate with --label parent",
            stage="evaluate",
        )
    points = np.asarray(space.project(raw), dtype=np.float64)
    if space.metric == "cosine":
        points = np.asarray(unit_rows(points))
    figures = np.concatenate(
        [
            _figures(points, codes, queries[start : start + _ROWS_AT_ONCE])
            for start in range(0, len(queries), _ROWS_AT_ONCE)
        ]
    )
    average_precision, first, five = figures.mean(axis=0).tolist()
    return Evaluation(
        feature_version=space.feature.name,
        metric=space.name,
        parts=len(codes),
        queries=len(queries),
        labels=len(names),
        mean_average_precision=average_precision,
        precision_at_1=first,
        precision_at_5=five,
    )


def _figures(
    points: NDArray[np.float64], codes: NDArray[np.int64], queries: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return (q, 3): average precision, P@1 and P@5 of each query."""
    squares = (points**2).sum(axis=1)
    distances = squares[queries, None] - 2.0 * points[queries] @ points.T + squares[None, :]
    distances = np.round(np.maximum(distances, 0.0), 12)
    distances[np.arange(len(queries)), queries] = np.inf
    order = np.argsort(distances, axis=1, kind="stable")[:, :-1]
    relevant = codes[order] == codes[queries, None]
    ranks = np.arange(1, order.shape[1] + 1)
    precision = np.cumsum(relevant, axis=1) / ranks
    average = (precision * relevant).sum(axis=1) / relevant.sum(axis=1)
    return np.column_stack([average, relevant[:, 0], relevant[:, :5].mean(axis=1)])
