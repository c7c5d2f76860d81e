"""Screen many rows with one matrix product, and know how wrong its rounding can be."""

from __future__ import annotations

import numpy as np

from cadml_core.contracts import Int64Array
from cadml_plugins.vectors._exact import Mask, Rows, stacked

_CHUNK = 16
"""Queries of one matrix product; bounds its memory to 16 floats a row."""


def squares(rows: Rows) -> Rows:
    """Return the squared length of each row, float32 (n,)."""
    return np.asarray(np.einsum("nd,nd->n", rows, rows))


def screen_by_product(rows: Rows, lengths: Rows, queries: Rows, k: int, allowed: Mask | None) -> Int64Array:
    """Name the candidates of each query by ``|x|² - 2 x·q``, which orders rows as their distance does.

    The two terms cancel, so what is left may be wrong by the rounding of each; every row within
    twice that error of the k-th smallest is a candidate.

    Args:
        rows: float32 (n, width), at least k of them allowed.
        lengths: Their ``squares``.
        queries: float32 (q, width).
        k: How many neighbours are wanted.
        allowed: Mask (n,) of the rows that may be found; None: all.

    Returns:
        Positions int64 (q, c), ascending, -1 where there are fewer.
    """
    found: list[Int64Array] = []
    longest = float(lengths.max())
    for start in range(0, len(queries), _CHUNK):
        some = queries[start : start + _CHUNK]
        approximate = some @ rows.T
        approximate *= -2.0
        approximate += lengths
        if allowed is not None:
            approximate[:, ~allowed] = np.inf
        for query, line in zip(some, approximate, strict=True):
            error = (rows.shape[1] + 4) * 1.2e-7 * (2.0 * longest + float(query @ query))
            kth = np.partition(line, k - 1)[k - 1]
            found.append(np.flatnonzero(line <= kth + 2.0 * error))
    return stacked(found)
