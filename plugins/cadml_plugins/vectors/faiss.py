"""The vector backend ``faiss``: exact search over an IndexFlatL2."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any, cast

import msgspec
import numpy as np

from cadml_core import Metric, VectorBackend, VectorIndex, hookimpl
from cadml_core.contracts import Int64Array
from cadml_plugins.vectors._exact import ExactIndex, Mask, Rows, stacked

_BLAS_FROM = 20
"""Queries of one call from which on Faiss computes ``|x|² + |q|² - 2 x·q`` with BLAS, which is faster
but loses digits where the terms cancel."""
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
        self._rounding = (width + 4) * 1.2e-7
        self._longest = 0.0
        """Squared length of the longest row there ever was."""
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
            self._measure(rows)

    def overwrite(self, positions: Int64Array, rows: Rows) -> None:
        """Replace the rows at these positions."""
        if len(positions):
            self._view[positions] = rows
            self._measure(rows)

    def _measure(self, rows: Rows) -> None:
        self._longest = max(self._longest, float(np.einsum("nd,nd->n", rows, rows).max()))

    def keep(self, kept: Mask) -> None:
        """Drop the rows whose mask is False."""
        bitmap = np.packbits(~kept, bitorder="little")
        selector = self._faiss.IDSelectorBitmap(len(kept), self._faiss.swig_ptr(bitmap))
        self._index.remove_ids(selector)
        self._view = self._look()

    def screen(self, queries: Rows, k: int, allowed: Mask | None) -> Int64Array:
        """Ask Faiss for a few more than k; for more yet where those may be as near as the k-th."""
        self._faiss.omp_set_num_threads(self._threads)  # a setting of the calling thread
        parameters, _bitmap = self._parameters(allowed)
        count = min(k + _SPARE, len(self._view))
        distances, positions = self._index.search(queries, count, params=parameters)
        if count == len(self._view):
            return cast(Int64Array, positions)
        unsure = np.flatnonzero(distances[:, -1] <= self._bound(queries, distances[:, k - 1]))
        wider: dict[int, Int64Array] = {}
        for start in range(0, len(unsure), _BLAS_FROM - 1):
            lines = unsure[start : start + _BLAS_FROM - 1]
            wider |= dict(
                zip(lines.tolist(), self._screen_wide(queries[lines], k, count, parameters), strict=True)
            )
        if not wider:
            return cast(Int64Array, positions)
        return stacked([wider.get(line, found) for line, found in enumerate(positions)])

    def _screen_wide(self, queries: Rows, k: int, count: int, parameters: Any) -> Int64Array:
        """Ask a few queries again, now without BLAS, until all that tie with the k-th are found."""
        while True:
            distances, positions = self._index.search(queries, count, params=parameters)
            surely = distances[:, -1] > self._bound(queries, distances[:, k - 1])
            if count == len(self._view) or surely.all():
                return cast(Int64Array, positions)
            count = min(4 * count, len(self._view))

    def _bound(self, queries: Rows, kth: Rows) -> Rows:
        """The distance up to which a row may in truth be as near as the k-th of the list."""
        error = np.full(len(queries), 1e-30, dtype=np.float32)
        if len(queries) >= _BLAS_FROM:
            error += 4.0 * self._rounding * (self._longest + np.einsum("nd,nd->n", queries, queries))
        return kth * np.float32(1.0 + 2.0 * self._rounding) + error

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
