"""The vector backend ``faiss``: exact search over an IndexFlatL2."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any

import msgspec
import numpy as np

from cadml_core import Metric, VectorBackend, VectorIndex, hookimpl
from cadml_core.contracts import Int64Array
from cadml_plugins.vectors._exact import ExactIndex, Mask, Rows

_CHUNK = 16
"""Queries of one call: from 20 on Faiss goes through BLAS, which is hardly faster on so few
dimensions and loses digits by cancellation."""
_SPARE = 6
"""Neighbours asked for beyond k, to see that nothing else is as near as the k-th."""


class FaissConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[vectors.config.faiss]``."""

    threads: int = 1
    """OpenMP threads of one search. More than one collapses when several searches run at once."""

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        if not 1 <= self.threads <= 256:
            raise ValueError(f"threads = {self.threads} is not possible; allowed: 1 to 256")


class FlatTable:
    """Rows inside an IndexFlatL2, read and overwritten in place through its memory."""

    def __init__(self, faiss: ModuleType, width: int, threads: int) -> None:
        self._faiss = faiss
        self._index = faiss.IndexFlatL2(width)
        self._threads = threads
        self._margin = (width + 4) * 2.4e-7  # rounding of both distances compared, in float32
        self._view = self._look()

    @property
    def rows(self) -> Rows:
        """The rows, (n, width)."""
        return self._view

    def append(self, rows: Rows) -> None:
        """Add rows at the end."""
        if len(rows):
            self._index.add(np.ascontiguousarray(rows))
            self._view = self._look()

    def overwrite(self, positions: Int64Array, rows: Rows) -> None:
        """Replace the rows at these positions."""
        if len(positions):
            self._view[positions] = rows

    def keep(self, kept: Mask) -> None:
        """Drop the rows whose mask is False."""
        bitmap = np.packbits(~kept, bitorder="little")
        selector = self._faiss.IDSelectorBitmap(len(kept), self._faiss.swig_ptr(bitmap))
        self._index.remove_ids(selector)
        self._view = self._look()

    def screen(self, queries: Rows, k: int, allowed: Mask | None) -> Int64Array:
        """Ask Faiss for a few more than k, and again for more where those may tie with the k-th."""
        self._faiss.omp_set_num_threads(self._threads)  # a setting of the calling thread
        parameters, _bitmap = self._parameters(allowed)
        size = len(self._view)
        wanted = min(k + _SPARE, size)
        while True:
            distances, positions = self._nearest(queries, wanted, parameters)
            bound = distances[:, k - 1] * (1.0 + self._margin) + 1e-30
            if wanted == size or bool((distances[:, -1] > bound).all()):
                return positions
            wanted = min(wanted * 4, size)

    def _nearest(self, queries: Rows, count: int, parameters: Any) -> tuple[Rows, Int64Array]:
        if len(queries) <= _CHUNK:
            found: tuple[Rows, Int64Array] = self._index.search(queries, count, params=parameters)
            return found
        distances = np.empty((len(queries), count), dtype=np.float32)
        positions = np.empty((len(queries), count), dtype=np.int64)
        for start in range(0, len(queries), _CHUNK):
            part = slice(start, start + _CHUNK)
            self._index.search(queries[part], count, params=parameters, D=distances[part], I=positions[part])
        return distances, positions

    def _parameters(self, allowed: Mask | None) -> tuple[Any, Any]:
        """Return search parameters, and the memory that they point into."""
        if allowed is None:
            return None, None
        bitmap = np.packbits(allowed, bitorder="little")
        selector = self._faiss.IDSelectorBitmap(len(allowed), self._faiss.swig_ptr(bitmap))
        return self._faiss.SearchParameters(sel=selector), bitmap

    def clear(self) -> None:
        """Drop all rows and release their memory."""
        self._index = self._faiss.IndexFlatL2(self._index.d)
        self._view = self._look()

    def _look(self) -> Rows:
        size, width = self._index.ntotal, self._index.d
        if not size:
            return np.empty((0, width), dtype=np.float32)
        view: Rows = self._faiss.rev_swig_ptr(self._index.get_xb(), size * width).reshape(size, width)
        return view


class FaissBackend:
    """Opens exact Faiss indexes."""

    name = "faiss"
    config_type: type[msgspec.Struct] = FaissConfig
    in_process = True

    def open(self, config: FaissConfig, *, dimension: int, metric: Metric) -> VectorIndex:
        """Open an empty index. Faiss itself is imported here, so that its absence is an error of the
        index, which can be recovered from, and not of the plugin."""
        import faiss

        width = dimension + 1 if metric == "cosine" else dimension
        return ExactIndex(FlatTable(faiss, width, config.threads), dimension, metric)


@hookimpl
def cadml_vector_backends() -> Iterable[VectorBackend]:
    """Register the backend."""
    return [FaissBackend()]
