"""How to turn a variant so that most of its features fall on those of the other part."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cadml_core.documents.feature_list import VERTEX, FeatureList

Array = NDArray[np.float64]

ENOUGH = 0.5
"""Share of the features of the smaller list with which a turn is taken at once."""
_TRIALS = 150
_PAIRS = 24
"""Rarest pairs of alike features that the trials are made of."""
_SAME = 2e-3
"""Difference in size and distance, relative to the part, up to which features are alike."""


def register(a: FeatureList, b: FeatureList) -> Array | None:
    """Return the rotation (3, 3) that takes directions of the second part to the first; None for none found.

    Standing still is tried first, then turns by three pairs of alike features; mirror images are not.
    """
    size = float(np.abs(a.points).max()) or 1.0
    first, second = (np.flatnonzero(part.kinds != VERTEX) for part in (a, b))
    pairs = _alike(a, b, first, second, _SAME * size)
    if not len(pairs):
        return None
    best, most = np.eye(3), _agreeing(a, b, np.eye(3), pairs, size)
    enough = ENOUGH * min(len(first), len(second))
    for rotation in itertools.islice(_turns(a, b, pairs, size), _TRIALS):
        if most >= enough:
            break
        if (count := _agreeing(a, b, rotation, pairs, size)) > most:
            best, most = rotation, count
    return best if most >= 3 else None


def _alike(
    a: FeatureList, b: FeatureList, first: NDArray[np.int64], second: NDArray[np.int64], tolerance: float
) -> NDArray[np.int64]:
    """Return pairs of features of one kind and size, (m, 2), the rarest first."""
    same = a.kinds[first][:, None] == b.kinds[second]
    for name in ("sizes", "spreads"):
        one, other = getattr(a, name)[first], getattr(b, name)[second]
        same &= np.abs(one[:, None] - other) <= tolerance * 0.5
    rarity = same.sum(axis=1)[:, None] * same.sum(axis=0)
    rows, columns = np.nonzero(same)
    order = np.argsort(rarity[rows, columns], kind="stable")
    return np.column_stack([first[rows[order]], second[columns[order]]])


def _turns(a: FeatureList, b: FeatureList, pairs: NDArray[np.int64], size: float) -> Iterator[Array]:
    """Yield the rotations that three pairs fix which are as far from one another in both parts."""
    chosen = pairs[:_PAIRS]
    one, other = a.points[chosen[:, 0]], b.points[chosen[:, 1]]
    apart = [np.linalg.norm(part[:, None] - part, axis=2) for part in (one, other)]
    agree = np.abs(apart[0] - apart[1]) <= _SAME * size
    for column in chosen.T:
        agree &= column[:, None] != column
    fits = agree.tolist()
    for first, second, third in itertools.combinations(range(len(chosen)), 3):
        if not (fits[first][second] and fits[first][third] and fits[second][third]):
            continue
        triple = [first, second, third]
        frames = [_frame(part[triple], size) for part in (one, other)]
        if frames[0] is not None and frames[1] is not None:  # else they lie on a line
            yield frames[0] @ frames[1].T


def _frame(points: Array, size: float) -> Array | None:
    x, y = points[1] - points[0], points[2] - points[0]
    z = np.cross(x, y)
    if np.linalg.norm(z) < 1e-2 * size**2:
        return None
    x, z = x / np.linalg.norm(x), z / np.linalg.norm(z)
    return np.column_stack([x, np.cross(z, x), z])


def _agreeing(a: FeatureList, b: FeatureList, rotation: Array, pairs: NDArray[np.int64], size: float) -> int:
    """Return how many features of a have a partner under the rotation and the shift that most pairs share."""
    shifts = a.points[pairs[:, 0]] - b.points[pairs[:, 1]] @ rotation.T
    steps = np.round(shifts / (2 * _SAME * size)).astype(np.int64)
    _, group, counts = np.unique(steps, axis=0, return_inverse=True, return_counts=True)
    shift = np.median(shifts[group.ravel() == int(np.argmax(counts))], axis=0)
    fits = np.abs(shifts - shift).max(axis=1) <= 2 * _SAME * size
    return len(np.unique(pairs[fits, 0]))
