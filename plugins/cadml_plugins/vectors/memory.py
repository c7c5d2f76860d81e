"""The vector backend ``memory``: exact search with numpy alone."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from cadml_core import IndexKey, Int64Array, Metric, VectorBackend, VectorIndex, hookimpl
from cadml_plugins.vectors._exact import ExactIndex, Mask, Rows
from cadml_plugins.vectors._product import screen_by_product, squares


class MemoryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[vectors.config.memory]``: nothing to choose."""


class ArrayTable:
    """Rows in one growing array, with their squared lengths beside them."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._array = np.empty((0, width), dtype=np.float32)
        self._squares = np.empty(0, dtype=np.float32)
        self._size = 0

    @property
    def rows(self) -> Rows:
        """The rows, (n, width)."""
        return self._array[: self._size]

    def append(self, rows: Rows) -> None:
        """Add rows at the end; the array doubles, so that many small additions stay cheap."""
        end = self._size + len(rows)
        if end > len(self._array):
            grown = np.empty((max(end, 2 * len(self._array)), self._width), dtype=np.float32)
            grown[: self._size] = self.rows
            self._array = grown
            self._squares = np.resize(self._squares, len(grown))
        self._array[self._size : end] = rows
        self._squares[self._size : end] = squares(rows)
        self._size = end

    def overwrite(self, positions: Int64Array, rows: Rows) -> None:
        """Replace the rows at these positions."""
        self._array[positions] = rows
        self._squares[positions] = squares(rows)

    def keep(self, kept: Mask) -> None:
        """Drop the rows whose mask is False."""
        self._array = self.rows[kept]
        self._squares = self._squares[: self._size][kept]
        self._size = len(self._array)

    def screen(self, queries: Rows, k: int, allowed: Int64Array | None) -> Int64Array:
        """Name the candidates by one matrix product."""
        return screen_by_product(self.rows, self._squares[: self._size], queries, k, allowed)

    def clear(self) -> None:
        """Drop all rows and release their memory."""
        self._array = np.empty((0, self._width), dtype=np.float32)
        self._squares = np.empty(0, dtype=np.float32)
        self._size = 0


class MemoryBackend:
    """Opens exact indexes in numpy arrays."""

    name = "memory"
    config_type: type[msgspec.Struct] = MemoryConfig
    in_process = True

    def open(
        self,
        config: MemoryConfig,  # noqa: ARG002
        *,
        key: IndexKey,  # noqa: ARG002 - each index in memory is one of its own
        dimension: int,
        metric: Metric,
    ) -> VectorIndex:
        """Open an empty index."""
        return ExactIndex(ArrayTable(dimension + 1 if metric == "cosine" else dimension), dimension, metric)


@hookimpl
def cadml_vector_backends() -> Iterable[VectorBackend]:
    """Register the backend."""
    return [MemoryBackend()]
