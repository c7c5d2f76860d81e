"""Which of many bodies may be the same as one: by volume, area and moments, which prove nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cadml_core.documents.invariants import BodyInvariants

EXACT = 2e-5
"""Relative difference up to which two exact bodies may be the same: true copies agree to 1e-13 .. 3e-5."""
MESH = 0.03
"""The same where facets stand for one of them."""
_SMALLEST = 1e-30

Keys = NDArray[np.float64]


def keys(bodies: Sequence[BodyInvariants]) -> Keys:
    """Return ln V, ln A and half the ln of the three moments of each body, (n, 5): lengths in ln mm."""
    rows = [_key(body) for body in bodies]
    return np.array(rows, np.float64).reshape(-1, 5)


def size_free(rows: Keys) -> Keys:
    """Return what scaling does not change of rows of ``keys``, (n, 4): each less ln V by its dimension."""
    scale = rows[:, :1] / 3.0
    return np.column_stack([rows[:, 1:2] - 2.0 * scale, rows[:, 2:] - scale])


def difference(a: BodyInvariants, b: BodyInvariants, *, scaled: bool = False) -> float:
    """Return the largest relative difference of two bodies, as a length; of their shape where ``scaled``."""
    # In plain numbers: for two bodies, arrays take ten times as long.
    first, second = _key(a), _key(b)
    if scaled:
        first, second = _size_free(first), _size_free(second)
    gaps = [abs(one - other) for one, other in zip(first, second, strict=True)]
    return max(gaps) if scaled else max(gaps[0] / 3.0, gaps[1] / 2.0, *gaps[2:])


def _key(body: BodyInvariants) -> tuple[float, ...]:
    lengths = (math.log(max(moment, _SMALLEST)) / 2.0 for moment in body.moments)
    return (math.log(max(body.volume, _SMALLEST)), math.log(max(body.area, _SMALLEST)), *lengths)


def _size_free(key: tuple[float, ...]) -> tuple[float, ...]:
    scale = key[0] / 3.0
    return (key[1] - 2.0 * scale, *(length - scale for length in key[2:]))


class Rows:
    """Many bodies, sorted so that those near one are found by bisection.

    Args:
        table: Their ``keys``, (n, 5).
    """

    def __init__(self, table: Keys) -> None:
        self._table, self._shapes = table, size_free(table)
        self._by_volume = np.argsort(table[:, 0], kind="stable")
        self._by_shape = np.argsort(self._shapes[:, 0], kind="stable")
        self._volumes = table[self._by_volume, 0]
        self._forms = self._shapes[self._by_shape, 0]

    def same(self, body: BodyInvariants, tolerance: float = EXACT) -> NDArray[np.int64]:
        """Return the rows that agree in everything, the nearest first."""
        wanted = keys([body])
        near = self._window(self._volumes, self._by_volume, float(wanted[0, 0]), 3 * tolerance)
        gaps = np.abs(self._table[near] - wanted) / np.array([3.0, 2.0, 1.0, 1.0, 1.0])
        return _nearest(near, gaps.max(axis=1, initial=0.0), tolerance)

    def scaled(self, body: BodyInvariants, tolerance: float = EXACT) -> NDArray[np.int64]:
        """Return the rows that agree but for their size, the nearest first."""
        wanted = size_free(keys([body]))
        near = self._window(self._forms, self._by_shape, float(wanted[0, 0]), 2 * tolerance)
        gaps = np.abs(self._shapes[near] - wanted).max(axis=1, initial=0.0)
        return _nearest(near, gaps, 2 * tolerance)

    @staticmethod
    def _window(values: Keys, order: NDArray[np.int64], middle: float, reach: float) -> NDArray[np.int64]:
        low, high = np.searchsorted(values, [middle - reach, middle + reach], side="left")
        return order[low : high + 1]


def _nearest(rows: NDArray[np.int64], gaps: Keys, tolerance: float) -> NDArray[np.int64]:
    order = np.argsort(gaps, kind="stable")
    found: NDArray[np.int64] = rows[order[gaps[order] <= tolerance]]
    return found
