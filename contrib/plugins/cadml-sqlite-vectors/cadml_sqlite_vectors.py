"""Vectors in a SQLite file: durable, exact, and simple enough to start a backend of your own from."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np

from cadml_core import (
    DimensionMismatch,
    FloatMatrix,
    Hits,
    IndexKey,
    Int64Array,
    Metric,
    VectorBackend,
    hookimpl,
)


class SqliteConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[vectors.config.sqlite]``."""

    path: str = "vectors.sqlite3"


class SqliteIndex:
    """One table of vectors, and one row in the table of marks.

    Each call is one transaction on a new connection, so threads and processes may share the file.
    """

    def __init__(self, path: Path, key: IndexKey, dimension: int, metric: Metric) -> None:
        self._path = path
        self._table = key.text
        self._dimension = dimension
        self._metric = metric
        with self._connect() as connection:
            self._create(connection)

    def upsert(self, ids: Int64Array, vectors: FloatMatrix) -> None:
        """Add or replace vectors."""
        rows = self._checked(vectors)
        if len(ids) != len(rows):
            raise ValueError(f"{len(rows)} vectors need {len(rows)} ids, found {len(ids)}")
        pairs = [(int(number), row.tobytes()) for number, row in zip(ids, rows, strict=True)]
        with self._connect() as connection:
            self._create(connection)
            connection.executemany(f"INSERT OR REPLACE INTO {self._table} VALUES (?, ?)", pairs)

    def remove(self, ids: Int64Array) -> int:
        """Delete ids; returns how many were there."""
        with self._connect() as connection:
            self._create(connection)
            numbers = [(int(number),) for number in ids]
            return connection.executemany(f"DELETE FROM {self._table} WHERE id = ?", numbers).rowcount

    def search(self, queries: FloatMatrix, k: int, allowed: Int64Array | None = None) -> Hits:
        """Compare every query with every allowed row."""
        if k < 1:
            raise ValueError(f"k must be 1 or more, found {k}")
        points = self._checked(queries)
        ids, rows = self._rows()
        if allowed is not None:
            kept = np.isin(ids, allowed)
            ids, rows = ids[kept], rows[kept]
        hits = Hits(np.full((len(points), k), -1), np.full((len(points), k), np.inf, dtype=np.float32))
        for line, point in enumerate(points):
            distances = self._distances(rows, point)
            order = np.lexsort((ids, distances))[:k]
            hits.ids[line, : len(order)] = ids[order]
            hits.distances[line, : len(order)] = distances[order]
        return hits

    def applied_change(self) -> int:
        """Return the mark; 0 where the vectors are gone, whoever took them."""
        with self._connect() as connection:
            found = connection.execute("SELECT change FROM marks WHERE name = ?", (self._table,)).fetchone()
        return found[0] if found else 0

    def mark_applied(self, change: int) -> None:
        """Write the mark."""
        with self._connect() as connection:
            connection.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (self._table, change))

    def clear(self) -> None:
        """Drop vectors and mark in one transaction."""
        with self._connect() as connection:
            self._create(connection)
            connection.execute(f"DELETE FROM {self._table}")
            connection.execute("DELETE FROM marks WHERE name = ?", (self._table,))

    def __len__(self) -> int:
        with self._connect() as connection:
            self._create(connection)
            return connection.execute(f"SELECT count(*) FROM {self._table}").fetchone()[0]

    def close(self) -> None:
        """Nothing is held between calls."""

    def _connect(self) -> "_Transaction":
        return _Transaction(self._path)

    def _create(self, connection: sqlite3.Connection) -> None:
        """Make the table where it is missing; a mark without its table says nothing any more."""
        known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (self._table,)).fetchone()
        if known is None:
            connection.execute(f"CREATE TABLE {self._table} (id INTEGER PRIMARY KEY, vector BLOB NOT NULL)")
            connection.execute("CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, change INTEGER)")
            connection.execute("DELETE FROM marks WHERE name = ?", (self._table,))

    def _rows(self) -> tuple[Int64Array, FloatMatrix]:
        with self._connect() as connection:
            self._create(connection)
            found = connection.execute(f"SELECT id, vector FROM {self._table} ORDER BY id").fetchall()
        ids = np.array([number for number, _ in found], dtype=np.int64)
        packed = b"".join(vector for _, vector in found)
        return ids, np.frombuffer(packed, dtype=np.float32).reshape(len(ids), self._dimension)

    def _distances(self, rows: FloatMatrix, point: FloatMatrix) -> FloatMatrix:
        """Distances of ``Hits``, computed in float64."""
        rows, point = rows.astype(np.float64), point.astype(np.float64)
        if self._metric == "l2":
            return ((rows - point) ** 2).sum(axis=1).astype(np.float32)
        lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(point)
        cosine = np.divide(rows @ point, lengths, out=np.zeros(len(rows)), where=lengths > 0)
        return np.maximum(1.0 - cosine, 0.0).astype(np.float32)

    def _checked(self, vectors: FloatMatrix) -> FloatMatrix:
        if vectors.ndim != 2 or vectors.shape[1] != self._dimension:
            raise DimensionMismatch(expected=self._dimension, found=vectors.shape[-1])
        if not np.isfinite(vectors).all():
            raise ValueError("a vector holds NaN or infinity")
        return np.ascontiguousarray(vectors, dtype=np.float32)


class _Transaction:
    """A connection that commits and closes at the end of its ``with``."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=30)

    def __enter__(self) -> sqlite3.Connection:
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._connection.commit()
        finally:
            self._connection.close()


class SqliteBackend:
    """Opens indexes in one file."""

    name = "sqlite"
    config_type: type[msgspec.Struct] = SqliteConfig

    def open(self, config: SqliteConfig, *, key: IndexKey, dimension: int, metric: Metric) -> SqliteIndex:
        """Open the index of a key, with what it held before."""
        return SqliteIndex(Path(config.path), key, dimension, metric)


@hookimpl
def cadml_vector_backends() -> Iterable[VectorBackend]:
    """Register the backend."""
    return [SqliteBackend()]
