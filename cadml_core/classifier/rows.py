"""The rows on which a model is tried before it serves: ordinary ones, extremes of every slot, random ones."""

from __future__ import annotations

import numpy as np

from cadml_core.documents.arrays import FloatMatrix

MAX_ROWS = 400
_STORED = 32
_RANDOM = 64
_FAR = 10.0
"""Spreads from the middle that count as an extreme."""
_SCALES = (1e-9, 1e-3, 1.0, 1e3, 1e6, 1e9)
_MAX_SLOTS = 64
"""Of more slots a random choice has its extremes tried."""


def trial_rows(width: int, seed: int, stored: FloatMatrix | None = None) -> FloatMatrix:
    """Return rows to try a model on.

    Branches of a tree that no row of zeros takes are taken here: rows of stored parts, their middle, each
    slot far to either side of it, all of them at many scales, random rows around it and of random magnitude.

    Args:
        width: Numbers in a row.
        seed: The same one gives the same rows.
        stored: (n, width) values of stored parts. Where there are none, 0 is the middle and 1 the spread.

    Returns:
        (at most ``MAX_ROWS``, width); the first row is zeros.
    """
    random = np.random.default_rng(seed)
    if stored is None or not len(stored):
        stored = np.zeros((0, width))
        middle, spread = np.zeros(width), np.ones(width)
    else:
        middle, spread = stored.mean(axis=0), stored.std(axis=0)
        spread = np.where(spread > 0, spread, np.maximum(np.abs(middle), 1.0))
    slots = np.arange(width) if width <= _MAX_SLOTS else random.choice(width, _MAX_SLOTS, replace=False)
    sides = np.repeat(np.eye(width)[slots], 2, axis=0)
    sides[1::2] *= -1
    signs = random.choice([-1.0, 1.0], size=(_RANDOM // 2, width))
    rows = [
        np.zeros((1, width)),
        middle[None],
        middle + np.outer([-3.0, -1.0, 1.0, 3.0, -_FAR, _FAR], spread),
        np.outer([sign * scale for scale in _SCALES for sign in (1, -1)], np.ones(width)),
        middle + _FAR * sides * spread,
        random.permutation(stored)[:_STORED],
        random.normal(middle, spread, (_RANDOM, width)),
        signs * 10.0 ** random.uniform(-6, 6, signs.shape),
    ]
    return np.concatenate(rows)[:MAX_ROWS]
