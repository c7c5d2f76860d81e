"""Screen many rows with one matrix product, and know how wrong its rounding can be."""

from __future__ import annotations

import math

import numpy as np

from cadml_core.contracts import Int64Array
from cadml_plugins.vectors._exact import Rows

_SMALL_MATRIX, _SMALL_VECTOR = 250_000, 9_000
"""Multiplications of a product with a matrix, and with a single vector, below which OpenBLAS starts no
threads (262,144 and 9,216)."""


def squares(rows: Rows) -> Rows:
    """Return the squared length of each row, float32 (n,)."""
    return np.asarray(np.einsum("nd,nd->n", rows, rows))


def screen_by_product(
    rows: Rows, lengths: Rows, queries: Rows, k: int, allowed: Int64Array | None
) -> Int64Array:
    """Name the candidates of each query by ``|x|² - 2 x·q``, which orders rows as their distance does.

    The two terms cancel, so what is left may be wrong by the rounding of each; every row within
    twice that error of the k-th smallest is a candidate.

    Args:
        rows: float32 (n, width), at least k of them allowed.
        lengths: Their ``squares``.
        queries: float32 (q, width).
        k: How many neighbours are wanted.
        allowed: Ascending positions of the rows that may be found; None: all.

    Returns:
        Positions int64 (q, c), ascending, -1 where there are fewer.
    """
    if allowed is not None and 2 * len(allowed) < len(rows):  # copying them together saves time
        candidates = screen_by_product(rows.take(allowed, axis=0), lengths[allowed], queries, k, None)
        return np.where(candidates < 0, candidates, allowed[candidates])
    each, groups = _grouping(len(rows), k)
    approximate = np.empty((each * groups, len(queries)), dtype=np.float32)
    approximate[len(rows) :] = np.inf
    _multiply(rows, queries * np.float32(-2.0), out=approximate[: len(rows)])
    approximate[: len(rows)] += _only(lengths, allowed)[:, np.newaxis]
    error = (rows.shape[1] + 4) * np.float32(1.2e-7) * (np.float32(2.0) * lengths.max() + squares(queries))
    return _smallest(approximate.reshape(each, groups, -1), k, np.float32(2.0) * error)


def _multiply(rows: Rows, queries: Rows, *, out: Rows) -> None:
    """Multiply every row with every query, (n, q), a tile of rows at a time.

    A tile stays in the cache. And a product as small as this BLAS computes in this thread: its own
    threads would wait for work with busy loops, and take the cores from every other search.
    """
    columns = np.ascontiguousarray(queries.T)
    width, count = columns.shape
    tile = max(1, (_SMALL_MATRIX if count > 1 else _SMALL_VECTOR) // columns.size)
    whole = len(rows) // tile * tile
    np.matmul(rows[:whole].reshape(-1, tile, width), columns, out=out[:whole].reshape(-1, tile, count))
    np.matmul(rows[whole:], columns, out=out[whole:])


def _grouping(count: int, k: int) -> tuple[int, int]:
    """Divide rows into groups: return how many rows each has, and how many groups there are.

    With more groups there is more to order, with fewer more to look through in the end. At least
    half of the rows are allowed, so no fewer than k groups have one that is.
    """
    groups = min(count, max(8 * k, math.isqrt(count * k)))
    return -(-count // groups), groups


def _smallest(values: Rows, k: int, margin: Rows) -> Int64Array:
    """Name the k smallest values of each query, and those at most ``margin`` above.

    The smallest of each group are found by comparing whole slices. Where k groups have a value that
    small, the k-th smallest of all is no larger, and other groups need not be looked at.

    Args:
        values: float32 (rows of a group, groups, q); row r of group g is at position r * groups + g.
        k: At most as many as there are groups.
        margin: float32 (q,).
    """
    smallest = values.min(axis=0)
    bound = np.partition(smallest, k - 1, axis=0)[k - 1] + margin
    group, query = np.nonzero(smallest <= bound)
    member, pair = np.nonzero(values[:, group, query] <= bound[query])
    line, position = query[pair], member * len(smallest) + group[pair]
    order = np.lexsort((position, line))
    line, position = line[order], position[order]
    counts = np.bincount(line, minlength=values.shape[2])
    first = np.cumsum(counts) - counts
    result = np.full((len(counts), int(counts.max())), -1, dtype=np.int64)
    result[line, np.arange(len(line)) - first[line]] = position
    return result


def _only(lengths: Rows, allowed: Int64Array | None) -> Rows:
    """Put all rows but the allowed ones infinitely far away."""
    if allowed is None:
        return lengths
    result = np.full(len(lengths), np.inf, dtype=np.float32)
    result[allowed] = lengths[allowed]
    return result
