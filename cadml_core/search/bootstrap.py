"""How sure a figure is: percentile bootstrap intervals of means and of the area under the ROC curve.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from cadml_core.documents.arrays import FloatVector

RESAMPLES = 1_000
CONFIDENCE = 0.95
_CHUNK = 2_000_000
"""Most numbers drawn at once."""


class Figure(msgspec.Struct, frozen=True):
    """A figure, its 95 % interval, and how many queries it is of."""

    value: float
    low: float
    high: float
    n: int


class Bootstrap:
    """Draws the same samples for the same seed and number of queries, so that figures of two feature versions
    over the same queries can be compared query by query."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def mean(self, values: FloatVector) -> Figure:
        """Return the mean of one or more values."""
        count = len(values)
        rng = np.random.default_rng((self._seed, count))
        means: list[FloatVector] = []
        step = max(1, _CHUNK // count)
        for start in range(0, RESAMPLES, step):
            drawn = rng.integers(count, size=(min(step, RESAMPLES - start), count))
            means.append(values[drawn].mean(axis=1))
        return _figure(float(values.mean()), np.concatenate(means), count)

    def auc(self, higher: FloatVector, lower: FloatVector) -> Figure:
        """Return the probability that one of ``higher`` exceeds one of ``lower``; ties count half.

        That is the area under the ROC curve; Hanley and McNeil (1982), Radiology 143, 29-36. Both samples
        are drawn anew, each by itself; neither may be empty.
        """
        return self._of_pairs(_wins(higher, lower))

    def auc_difference(
        self, first: tuple[FloatVector, FloatVector], second: tuple[FloatVector, FloatVector]
    ) -> Figure:
        """Return by how much the area of ``second`` exceeds that of ``first``, over the same queries.

        Args:
            first: What ``auc`` takes.
            second: The same queries, in the same order.
        """
        return self._of_pairs(_wins(*second) - _wins(*first))

    def _of_pairs(self, wins: NDArray[np.float64]) -> Figure:
        rows, columns = wins.shape
        rng = np.random.default_rng((self._seed, rows, columns))
        means = np.empty(RESAMPLES)
        for number in range(RESAMPLES):
            # How often each is drawn, in place of the drawn ones: two products instead of a copy.
            one = np.bincount(rng.integers(rows, size=rows), minlength=rows) / rows
            other = np.bincount(rng.integers(columns, size=columns), minlength=columns) / columns
            means[number] = one @ wins @ other
        return _figure(float(wins.mean()), means, rows + columns)


def _wins(higher: FloatVector, lower: FloatVector) -> NDArray[np.float64]:
    """1 where a value of the first exceeds one of the second, 1/2 where they are equal, else 0."""
    wins: NDArray[np.float64] = 0.5 + 0.5 * np.sign(higher[:, np.newaxis] - lower[np.newaxis, :])
    return wins


def _figure(value: float, drawn: FloatVector, count: int) -> Figure:
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile(drawn, [tail, 1.0 - tail]).tolist()
    return Figure(value, low, high, count)
