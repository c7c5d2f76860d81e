"""Screen many rows with one matrix product, and know how wrong its rounding can be."""

from __future__ import annotations

import math

import numpy as np

from cadml_core import Int64Array
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

    The two terms cancel, so what is left may be wrong by the rounding of each; every row that may be
    as near as the k-th in spite of what it looks like is a candidate.

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
    grouped = approximate.reshape(each, groups, -1)
    smallest = grouped.min(axis=0)
    kth = np.partition(smallest, k - 1, axis=0)[k - 1]
    return _up_to(kth + _margin(kth, squares(queries), rows.shape[1]), grouped, smallest)


def _margin(kth: Rows, lengths: Rows, width: int) -> Rows:
    """How far above the k-th smallest value one may lie that is in truth no larger.

    A value is wrong by at most ``e (2 |x|² + |q|²)``, e being the rounding of a sum of ``width``
    products; and ``|x|² <= 2 (|q|² + d²)`` for a row at distance d, so far away rows, which are the
    longest, need not be considered. Both values compared may be wrong, hence twice; and d is itself
    known from the value only, hence a little more.

    Args:
        kth: float32 (q,).
        lengths: ``squares`` of the queries.
        width: Of the rows.
    """
    error = np.float32(2.5 * (width + 4) * 1.2e-7)
    margin: Rows = error * (4 * np.maximum(kth + lengths, 0) + 5 * lengths)
    return margin


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

    The k-th smallest value takes long to find. The smallest of each group are found by comparing
    whole slices, and where k groups have a value that small, the k-th smallest of all is no larger.
    With more groups there is more to order, with fewer more to look through in the end. At least
    half of the rows are allowed, so no fewer than k groups have one that is.
    """
    groups = min(count, max(8 * k, math.isqrt(count * k)))
    return -(-count // groups), groups


def _up_to(bound: Rows, values: Rows, smallest: Rows) -> Int64Array:
    """Name the values of each query that are no larger than its bound.

    Args:
        bound: float32 (q,).
        values: float32 (rows of a group, groups, q); row r of group g is at position r * groups + g.
        smallest: float32 (groups, q), of each group: where it is too large, so are the others.
    """
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
