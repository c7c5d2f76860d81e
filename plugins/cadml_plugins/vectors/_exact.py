"""What the exact indexes share: ids, checks, cosine as Euclidean distance, and the total order.

A table screens: it names, fast and in float32, every row that may be among the k nearest. Here
the distances of those few are computed again in float64 and ordered by (distance, id), so that the
answer depends neither on rounding in the screening nor on the order of insertion.
"""

from __future__ import annotations

import math
import threading
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cadml_core import LARGEST_VALUE, DimensionMismatch, FloatMatrix, Hits, Int64Array, Metric

Rows = NDArray[np.float32]
Mask = NDArray[np.bool_]

_BLOCK = 200_000
"""Most float64 numbers that ranking holds at once; what fits in the cache is ranked fastest."""
_AT_ONCE = 2**20
"""Pairs of query and row that are screened together: what memory that takes, 4 bytes each. But never
fewer than 16 queries, or the rows are read too often."""


class Table(Protocol):
    """Rows of float32 that the index keeps in ascending order of their ids."""

    @property
    def rows(self) -> Rows:
        """The rows, (n, width): a view that lives until the next change."""

    def append(self, rows: Rows) -> None:
        """Add rows at the end."""

    def overwrite(self, positions: Int64Array, rows: Rows) -> None:
        """Replace the rows at these positions."""

    def keep(self, kept: Mask) -> None:
        """Drop the rows whose mask is False; the rest closes up in its order."""

    def screen(self, queries: Rows, k: int, allowed: Int64Array | None) -> Int64Array:
        """Name the candidates of each query: positions, (q, c), -1 where there are fewer.

        All k nearest are among them, and every row that is as near as the k-th. ``allowed`` are the
        ascending positions that may be named, k at least; None: all.
        """

    def clear(self) -> None:
        """Drop all rows and release their memory."""


class ExactIndex:
    """An exact ``VectorIndex`` over a table.

    Searches run side by side; a change waits for those that run and holds up those that come, so
    each search sees an index between two changes, never within one.
    """

    def __init__(self, table: Table, dimension: int, metric: Metric) -> None:
        self._table = table
        self._dimension = dimension
        self._metric = metric
        self._ids: Int64Array = np.empty(0, dtype=np.int64)
        self._lock = SharedLock()

    def upsert(self, ids: Int64Array, vectors: FloatMatrix) -> None:
        """Add or replace; of a repeated id the last wins.

        Raises:
            DimensionMismatch: The vectors have another length.
            ValueError: A value is not finite or beyond 1e18, or both arrays differ in length.
        """
        ids = np.array(ids, dtype=np.int64)
        rows = self._rows(vectors)
        if ids.shape != (len(rows),):
            raise ValueError(f"{len(rows)} vectors need {len(rows)} ids, found shape {ids.shape}")
        ids, rows = _ascending(ids, rows)
        with self._lock.writing:
            position, known = self._positions(ids)
            self._table.overwrite(position[known], rows[known])
            self._insert(ids[~known], rows[~known])

    def _insert(self, ids: Int64Array, rows: Rows) -> None:
        """Add new rows; where they do not belong at the end, the table is written anew in order."""
        if len(self._ids) and len(ids) and ids[0] < self._ids[-1]:
            together = np.concatenate([self._ids, ids])
            order = np.argsort(together)
            rows = np.concatenate([self._table.rows, rows])[order]
            self._table.clear()
            self._table.append(rows)
            self._ids = together[order]
        else:
            self._table.append(rows)
            self._ids = np.concatenate([self._ids, ids])

    def remove(self, ids: Int64Array) -> int:
        """Delete these ids; unknown ones are passed over. Returns how many were there."""
        with self._lock.writing:
            position, known = self._positions(np.unique(np.asarray(ids, dtype=np.int64)))
            if not known.any():
                return 0
            kept = np.ones(len(self._ids), dtype=np.bool_)
            kept[position[known]] = False
            self._table.keep(kept)
            self._ids = self._ids[kept]
            return int(known.sum())

    def search(self, queries: FloatMatrix, k: int, allowed: Int64Array | None = None) -> Hits:
        """Return the k nearest to each query among ``allowed`` (None: all).

        Raises:
            DimensionMismatch: The queries have another length.
            ValueError: ``k`` is below 1, or a value is not finite or beyond 1e18.
        """
        if k < 1:
            raise ValueError(f"k must be 1 or more, found {k}")
        rows = self._rows(queries)
        with self._lock.reading:
            places = None if allowed is None else self._places(allowed)
            size = len(self._ids) if places is None else len(places)
            if not size or not len(rows):
                return _none(len(rows), k)
            found = min(k, size)
            step = max(16, _AT_ONCE // size)
            blocks = [
                self._ranked(block, self._table.screen(block, found, places), found)
                for block in (rows[start : start + step] for start in range(0, len(rows), step))
            ]
        hits = blocks[0] if len(blocks) == 1 else _stacked(blocks)
        if found == k:
            return hits
        padded = _none(len(rows), k)
        padded.ids[:, :found], padded.distances[:, :found] = hits
        return padded

    def _ranked(self, queries: Rows, candidates: Int64Array, k: int) -> Hits:
        """Order the candidates exactly and keep the best, a bounded block at a time."""
        step = max(1, _BLOCK // (candidates.shape[1] * queries.shape[1]))
        if step < len(queries):
            parts = (slice(start, start + step) for start in range(0, len(queries), step))
            return _stacked([self._ranked(queries[part], candidates[part], k) for part in parts])
        difference = np.subtract(self._table.rows[candidates], queries[:, np.newaxis, :], dtype=np.float64)
        distances = np.einsum("qcd,qcd->qc", difference, difference)
        if self._metric == "cosine":
            distances *= 0.5
        rounded = distances.astype(np.float32)
        if candidates[:, -1].min() < 0:  # what is missing stands at the end
            rounded[candidates < 0] = np.inf
        # Positions ascend with ids, so ordering by position orders by id.
        order = np.lexsort((candidates, rounded))[:, :k]
        line = np.arange(len(queries))[:, np.newaxis]
        return Hits(self._ids[candidates[line, order]], rounded[line, order])

    def __len__(self) -> int:
        return len(self._ids)

    def close(self) -> None:
        """Release everything; closing twice is allowed."""
        with self._lock.writing:
            self._table.clear()
            self._ids = np.empty(0, dtype=np.int64)

    def _places(self, allowed: Int64Array) -> Int64Array:
        """Return the ascending positions of those ids that are in the table."""
        ascends = bool((allowed[1:] > allowed[:-1]).all())
        position, known = self._positions(allowed if ascends else np.unique(allowed))
        return position[known]

    def _positions(self, ids: Int64Array) -> tuple[Int64Array, Mask]:
        """Where ascending ids are in the table, and which of them are there at all."""
        position = np.searchsorted(self._ids, ids)
        known = position < len(self._ids)
        known[known] = self._ids[position[known]] == ids[known]
        return position, known

    def _rows(self, vectors: FloatMatrix) -> Rows:
        """Check vectors and turn them into rows of the table."""
        if vectors.ndim != 2 or vectors.shape[1] != self._dimension:
            raise DimensionMismatch(
                expected=self._dimension, found=vectors.shape[-1] if vectors.ndim else 0, stage="index"
            )
        # One pass: the largest magnitude is NaN where any value is.
        largest = float(np.abs(vectors).max(initial=0.0))
        if not math.isfinite(largest):
            raise ValueError("a vector holds NaN or infinity; only finite values can be compared")
        if self._metric == "cosine":
            return directions(vectors)
        if largest > LARGEST_VALUE:
            raise ValueError(f"a value is beyond {LARGEST_VALUE:g}, too large to be compared in float32")
        return np.ascontiguousarray(vectors, dtype=np.float32)


def _none(queries: int, k: int) -> Hits:
    """Return hits that say of each neighbour that there is none."""
    return Hits(np.full((queries, k), -1, dtype=np.int64), np.full((queries, k), np.inf, dtype=np.float32))


def _stacked(blocks: list[Hits]) -> Hits:
    """Put the hits of several blocks of queries below one another."""
    return Hits(
        np.concatenate([block.ids for block in blocks]), np.concatenate([block.distances for block in blocks])
    )


def directions(vectors: FloatMatrix) -> Rows:
    """Scale rows to length 1, so that half the squared distance of two is one minus their cosine.

    Rows of zeros have no direction. They get one of their own in an added last column: at distance
    0 from one another and 1, as if at a right angle, from everything else.
    """
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0.0)
    scaled = vectors / np.where(largest > 0.0, largest, 1.0)  # squares of huge values stay finite
    length = np.linalg.norm(scaled.astype(np.float64), axis=1, keepdims=True)
    zero = length == 0.0
    return np.hstack([scaled / np.where(zero, 1.0, length), zero]).astype(np.float32)


def _ascending(ids: Int64Array, rows: Rows) -> tuple[Int64Array, Rows]:
    """Order by id and keep the last of each."""
    if len(ids) < 2 or bool((ids[1:] > ids[:-1]).all()):
        return ids, rows
    unique, last = np.unique(ids[::-1], return_index=True)
    return unique, rows[::-1][last]


class SharedLock:
    """Readers go together; a writer waits for them, and those who come later wait for it.

    ``with lock.reading`` and ``with lock.writing``. A waiting writer goes before new readers, so a
    stream of searches cannot starve it. Not reentrant: a reader must not ask to write.
    """

    def __init__(self) -> None:
        self.condition = threading.Condition(threading.Lock())
        self.readers = 0
        self.busy = False
        """Whether a writer is in."""
        self.waiting = 0
        """Writers that wait."""
        self.reading = _Reading(self)
        self.writing = _Writing(self)


# Classes, not generators: entering and leaving is part of every search.


class _Reading:
    """Holds the lock together with other readers."""

    def __init__(self, lock: SharedLock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        lock = self._lock
        with lock.condition:
            while lock.busy or lock.waiting:
                lock.condition.wait()
            lock.readers += 1

    def __exit__(self, *_error: object) -> None:
        lock = self._lock
        with lock.condition:
            lock.readers -= 1
            if not lock.readers and lock.waiting:
                lock.condition.notify_all()


class _Writing:
    """Holds the lock alone."""

    def __init__(self, lock: SharedLock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        lock = self._lock
        with lock.condition:
            lock.waiting += 1
            try:
                while lock.busy or lock.readers:
                    lock.condition.wait()
            finally:
                lock.waiting -= 1
            lock.busy = True

    def __exit__(self, *_error: object) -> None:
        lock = self._lock
        with lock.condition:
            lock.busy = False
            lock.condition.notify_all()
