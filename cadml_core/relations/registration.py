"""How to turn a variant so that most of its features fall on those of the other part."""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cadml_core.documents.feature_list import VERTEX, FeatureList

Array = NDArray[np.float64]

ENOUGH = 0.5
"""Share of the features of the smaller list with which a turn is taken at once."""
_TRIALS = 150
_PAIRS = 24
"""Rarest pairs of alike features that the trials are made of."""
_AT_ONCE, _MOST_PLACES = 25, 50_000
"""Trials that are made together, and places that they hold at most."""
_MOST_PAIRS = 10_000
"""Rarest pairs that are counted."""
_PLACES = np.array([1, 2**20, 2**40], np.int64)
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
    rarest, pairs = pairs[:_PAIRS], pairs[:_MOST_PAIRS]
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    one, other = a.points[pairs[:, 0]], b.points[pairs[:, 1]]
    starts = np.flatnonzero(np.diff(pairs[:, 0], prepend=-1))
    still = np.eye(3)[None]
    [most] = _agreeing(one, other, starts, still, _common_shift(one - other, size)[None], size)
    best, enough = still[0], ENOUGH * min(len(first), len(second))
    at_once = max(1, min(_AT_ONCE, _MOST_PLACES // len(pairs)))
    rotations, shifts = _turns(a.points[rarest[:, 0]], b.points[rarest[:, 1]], rarest, size)
    for start in range(0, len(rotations), at_once):
        if most >= enough:
            break
        tried = slice(start, start + at_once)
        counts = _agreeing(one, other, starts, rotations[tried], shifts[tried], size)
        reached = counts >= enough
        # The first that suffices, else the first of the best: as if they were tried one by one.
        number = int(np.argmax(reached)) if reached.any() else int(np.argmax(counts))
        if counts[number] > most:
            best, most = rotations[start + number], counts[number]
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


def _turns(one: Array, other: Array, pairs: NDArray[np.int64], size: float) -> tuple[Array, Array]:
    """Return the motions that three pairs fix which are as far from one another in both parts.

    Args:
        one: Places of the first features of the pairs, (p, 3).
        other: Places of the second ones.
        pairs: The numbers of both, (p, 2).
        size: Of the part, in mm.

    Returns:
        Rotations (t, 3, 3) and shifts (t, 3), no more than are worth trying.
    """
    apart = [np.linalg.norm(part[:, None] - part, axis=2) for part in (one, other)]
    agree = np.abs(apart[0] - apart[1]) <= _SAME * size
    for column in pairs.T:
        agree &= column[:, None] != column
    triples = _triples(len(pairs))
    first, second, third = triples.T
    triples = triples[agree[first, second] & agree[first, third] & agree[second, third]]
    (mine, on_a_line), (theirs, on_another) = (_frames(part[triples], size) for part in (one, other))
    chosen = np.flatnonzero(~(on_a_line | on_another))[:_TRIALS]
    rotations = mine[chosen] @ theirs[chosen].transpose(0, 2, 1)
    turned = other[triples[chosen]] @ rotations.transpose(0, 2, 1)
    return rotations, (one[triples[chosen]] - turned).mean(axis=1)


@lru_cache(maxsize=_PAIRS)
def _triples(count: int) -> NDArray[np.int64]:
    """Return every three of so many numbers, (t, 3)."""
    return np.array(list(itertools.combinations(range(count), 3)), np.int64).reshape(-1, 3)


def _frames(points: Array, size: float) -> tuple[Array, NDArray[np.bool_]]:
    """Return axes (t, 3, 3) of triples of points (t, 3, 3), and which triples lie on a line."""
    x, y = points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]
    z = np.cross(x, y)
    length = np.linalg.norm(z, axis=1)
    on_a_line = length < 1e-2 * size**2
    x = x / np.where(on_a_line, 1.0, np.linalg.norm(x, axis=1))[:, None]
    z = z / np.where(on_a_line, 1.0, length)[:, None]
    return np.stack([x, np.cross(z, x), z], axis=2), on_a_line


def _common_shift(shifts: Array, size: float) -> Array:
    """Return the shift (3,) that most pairs share."""
    steps = np.round(shifts / (2 * _SAME * size)).astype(np.int64)
    # Of parts that can be variants of one another, the three numbers fit into one.
    _, group, counts = np.unique(steps @ _PLACES, return_inverse=True, return_counts=True)
    common: Array = np.median(shifts[group == int(np.argmax(counts))], axis=0)
    return common


def _agreeing(
    one: Array, other: Array, starts: NDArray[np.int64], rotations: Array, shifts: Array, size: float
) -> NDArray[np.int64]:
    """Return how many features of the first part have a partner under each motion, (t,).

    Args:
        one: Places of the first features of the pairs, (m, 3), those of one feature together.
        other: Places of the second ones.
        starts: Where the pairs of the next feature begin, ascending.
        rotations: To try, (t, 3, 3).
        shifts: After each, (t, 3).
        size: Of the part, in mm.
    """
    fits = np.ones((len(rotations), len(one)), np.bool_)
    for axis in range(3):
        gaps = rotations[:, axis] @ other.T + shifts[:, axis, None] - one[:, axis]
        fits &= np.abs(gaps) <= 2 * _SAME * size
    found: NDArray[np.int64] = np.logical_or.reduceat(fits, starts, axis=1).sum(axis=1)
    return found
