"""How well a space puts parts of one label together: leave-one-out retrieval figures."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from cadml_core.documents.arrays import FloatMatrix, FloatVector
from cadml_core.errors import InvalidInput
from cadml_core.search.bootstrap import Bootstrap, Figure
from cadml_core.search.spaces import ExactDistances, Space

_FIGURES = ("mean_average_precision", "precision_at_1", "precision_at_5")


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
    intervals: dict[str, tuple[float, float]]
    """By figure: its 95 % interval, by bootstrap over queries."""
    gain: Figure | None = None
    """Mean average precision beyond that of another version in the same space, over the same queries."""


class LabelledQueries:
    """One space over labelled parts, measured query by query.

    Args:
        space: Where distances are measured.
        raw: Raw values, (n, slots).
        labels: The label of each row, n of them.

    Raises:
        InvalidInput: No label is shared by two parts, so there is nothing to find.
    """

    def __init__(self, space: Space, raw: FloatMatrix, labels: Sequence[str]) -> None:
        names, codes, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
        queries = np.flatnonzero(counts[codes] > 1).tolist()
        if not queries:
            raise InvalidInput(
                "no two parts share a label, so there is nothing to evaluate; ingest with --label-from"
                " parent, or evaluate with --label parent",
                stage="evaluate",
            )
        distances = ExactDistances(space, raw)
        self.space = space
        self.parts, self.labels = len(codes), len(names)
        self.figures: NDArray[np.float64] = np.array(
            [retrieval(rounded(distances.to(query)), codes == codes[query], query) for query in queries]
        )


def evaluate(
    queries: LabelledQueries, baseline: LabelledQueries | None = None, bootstrap: Bootstrap | None = None
) -> Evaluation:
    """Work out how well parts find those of their label.

    Args:
        queries: The space.
        baseline: Another one over the same parts, for the gain.
        bootstrap: Draws the samples for the intervals.

    Returns:
        mAP is the mean over queries of average precision (the mean, over the ranks at which parts
        of the query's label stand, of the share of such parts up to that rank); P@k the mean share of
        them among the first k. Ties are in the order of rows. Source: Manning, Raghavan and Schütze,
        "Introduction to Information Retrieval" (2008), section 8.4.
    """
    draw = bootstrap or Bootstrap()
    figures = dict(zip(_FIGURES, map(draw.mean, queries.figures.T), strict=True))
    gain = None if baseline is None else draw.mean(queries.figures[:, 0] - baseline.figures[:, 0])
    return Evaluation(
        feature_version=queries.space.feature.name,
        metric=queries.space.name,
        parts=queries.parts,
        queries=len(queries.figures),
        labels=queries.labels,
        **{name: figure.value for name, figure in figures.items()},
        intervals={name: (figure.low, figure.high) for name, figure in figures.items()},
        gain=gain,
    )


def rounded(distances: FloatVector) -> FloatVector:
    """Return distances in which what differs by rounding only is a tie."""
    return np.round(distances, 12)


def retrieval(distances: FloatVector, relevant: NDArray[np.bool_], query: int) -> tuple[float, float, float]:
    """Return average precision, P@1 and P@5 of one query.

    Args:
        distances: To every part, ``rounded``.
        relevant: Which parts are to be found; the query is one of them, but never found.
        query: The position of the query.
    """
    near = distances.copy()
    near[query] = np.inf
    order = np.argsort(near, kind="stable")[:-1]
    found = relevant[order]
    precision = np.cumsum(found) / np.arange(1, len(order) + 1)
    average = (precision * found).sum() / found.sum()
    return float(average), float(found[0]), float(found[:5].mean())
