"""The spaces parts are compared in: how raw values enter them, and how a distance becomes a score."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cadml_core.contracts.features import LARGEST_VALUE, FeatureVersion, Metric, embedded
from cadml_core.documents.arrays import FloatMatrix, FloatVector
from cadml_core.errors import InvalidInput

SpaceName = Literal["scaled", "cosine_raw"]
"""``scaled``: the feature version's embedding. ``cosine_raw``: the angle between raw values, which
large magnitudes dominate; kept for comparison."""


class Space:
    """One feature version seen through one metric."""

    def __init__(self, feature: FeatureVersion, name: SpaceName) -> None:
        if name not in get_args(SpaceName):
            raise InvalidInput(
                f"metric {name!r} is unknown; allowed: {', '.join(get_args(SpaceName))}", stage="similarity"
            )
        self.feature = feature
        self.name = name
        self.metric: Metric = feature.metric if name == "scaled" else "cosine"

    @cached_property
    def dimension(self) -> int:
        """Length of a vector in this space."""
        return int(self.project(np.zeros((1, len(self.feature.slots)))).shape[1])

    def project(self, raw: FloatMatrix) -> FloatMatrix:
        """Take raw values (n, slots) into the space, (n, dimension).

        Values beyond what an index holds are brought to its limit: stored ones that nobody checked (of an
        older release, or of another program) must not take the index of all parts out of service.
        """
        points = embedded(self.feature, raw) if self.name == "scaled" else raw
        if self.metric == "cosine" or np.abs(points).max(initial=0.0) <= LARGEST_VALUE:
            return points
        finite: FloatMatrix = np.nan_to_num(points, nan=LARGEST_VALUE).clip(-LARGEST_VALUE, LARGEST_VALUE)
        return finite

    def shown(self, distances: NDArray[Any]) -> NDArray[np.float64]:
        """Turn an index's distances into those people read: Euclidean, or ``1 - cosine``."""
        exact: NDArray[np.float64] = distances.astype(np.float64)
        return np.sqrt(exact) if self.metric == "l2" else exact

    def scores(self, shown: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn shown distances into scores in [0, 1] that fall as distances grow; 1.0 is identical.

        ``1 / (1 + d)`` of the Euclidean distance d, in units of the embedding, so 0.5 is one unit
        (one standard deviation of one slot) away; the cosine itself, negative ones cut to 0, for angles.
        """
        if self.metric == "l2":
            return 1.0 / (1.0 + shown)
        return np.clip(1.0 - shown, 0.0, 1.0)

    def distance(self, one: FloatVector, other: FloatVector) -> float:
        """Return the distance of two raw vectors: Euclidean, or ``1 - cosine``."""
        exact = float(ExactDistances(self, np.stack([one, other])).to(0)[1])
        return math.sqrt(exact) if self.metric == "l2" else exact

    def shares(self, one: FloatVector, others: FloatMatrix) -> NDArray[np.float64]:
        """Return each slot's share of the squared distance between one raw vector and each of others.

        Returns:
            float64 (n, slots), not negative; each row sums to 1, or is all 0 where the distance is 0.
            For angles the distance is that between the vectors scaled to length 1, whose square is
            ``2 (1 - cosine)``.

        Raises:
            InvalidInput: The embedding has another length than the slots, so no dimension of it
                belongs to one slot.
        """
        together: NDArray[np.float64] = np.vstack([one, others]).astype(np.float64)
        points: NDArray[np.float64] = np.asarray(self.project(together), dtype=np.float64)
        if points.shape[1] != len(one):
            raise InvalidInput(
                f"{self.feature.name} mixes its {len(one)} slots into {points.shape[1]} dimensions, so no"
                " slot has a share; search without an explanation, or with the metric cosine_raw",
                stage="similarity",
            )
        if self.metric == "cosine":
            points = unit_rows(points)
        squares: NDArray[np.float64] = (points[1:] - points[0]) ** 2
        totals = squares.sum(axis=1, keepdims=True)
        squares /= np.where(totals > 0.0, totals, 1.0)
        return squares


class ExactDistances:
    """Distances between raw vectors by the definition of ``Hits``, in float64: what every index is held to.

    Args:
        space: Where they are measured.
        raw: Raw values, (n, slots).
    """

    def __init__(self, space: Space, raw: FloatMatrix) -> None:
        points: NDArray[np.float64] = np.asarray(space.project(raw), dtype=np.float64)
        self._cosine = space.metric == "cosine"
        self._points = unit_rows(points) if self._cosine else points

    def to(self, position: int) -> FloatVector:
        """Return the distance of every vector to the one at this position, float64 (n,)."""
        return _distances(self._points, self._points[position], self._cosine)


def exact_distances(space: Space, query: FloatVector, points: FloatMatrix) -> FloatVector:
    """Return the distances of points (n, dimension) to a query, both in the space already, float64 (n,)."""
    wide: NDArray[np.float64] = np.vstack([query, points]).astype(np.float64)
    if space.metric == "cosine":
        wide = unit_rows(wide)
    return _distances(wide[1:], wide[0], space.metric == "cosine")


def _distances(points: NDArray[np.float64], query: NDArray[np.float64], cosine: bool) -> FloatVector:
    difference = points - query
    exact: FloatVector = np.einsum("nd,nd->n", difference, difference)
    if cosine:
        exact *= 0.5
        # A vector of zeros has no direction: it is at distance 1 from all but its like.
        directed: NDArray[np.bool_] = np.asarray(points.any(axis=1))
        exact[directed != bool(query.any())] = 1.0
    return exact


def unit_rows(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale each row to length 1; rows of zeros stay."""
    largest = np.abs(rows).max(axis=1, keepdims=True)
    scaled = rows / np.where(largest > 0.0, largest, 1.0)  # so that squares of huge values stay finite
    length = np.sqrt(np.einsum("nd,nd->n", scaled, scaled))[:, np.newaxis]
    return scaled / np.where(length > 0.0, length, 1.0)
