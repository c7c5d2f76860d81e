"""How well a space puts parts of one label together: leave-one-out retrieval figures."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from cadml_core.documents.arrays import FloatMatrix, FloatVector
from cadml_core.errors import InvalidInput
from cadml_core.search.spaces import ExactDistances, Space


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
    distances = ExactDistances(space, raw)
    figures = np.array([_figures(distances.to(query), codes, query) for query in queries.tolist()])
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


def _figures(distances: FloatVector, codes: NDArray[np.int64], query: int) -> tuple[float, float, float]:
    """Return average precision, P@1 and P@5 of one query, given its distances to all parts."""
    distances = np.round(distances, 12)  # what differs by rounding only is a tie
    distances[query] = np.inf
    order = np.argsort(distances, kind="stable")[:-1]
    relevant = codes[order] == codes[query]
    precision = np.cumsum(relevant) / np.arange(1, len(order) + 1)
    average = (precision * relevant).sum() / relevant.sum()
    return float(average), float(relevant[0]), float(relevant[:5].mean())
