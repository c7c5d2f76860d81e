"""The vector backend ``faiss``: exact search over an IndexFlatL2."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any, cast

import msgspec
import numpy as np

from cadml_core import IndexKey, Int64Array, Metric, VectorBackend, VectorIndex, hookimpl
from cadml_plugins.vectors._exact import ExactIndex, Mask, Rows
from cadml_plugins.vectors._product import screen_by_product, squares

_FEW_QUERIES = 2
_LITTLE_WORK = 2**15
"""Up to so many queries, and up to so many pairs of query and row, Faiss is quicker than a matrix product. It
takes less to begin, and more for each pair, as it keeps the nearest of each query in a heap. A product with
few columns spends its time fetching the rows. ``bench_search.py`` prints both."""
_SPARE = 6
"""Neighbours asked for beyond k, to see that nothing else is as near as the k-th."""


class FaissConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[vectors.config.faiss]``."""

    threads: int = 1
    """OpenMP threads of one search. With 1, large searches are one matrix product, which is quicker on
    one core; more than one make a lone search quicker yet, and collapse when several run at once."""

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
        self._rounding = np.float32(1.0 + (width + 4) * 2.4e-7)
        self._squares = np.empty(0, dtype=np.float32)
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
            self._squares = self._squares[: positions.min()]

    def keep(self, kept: Mask) -> None:
        """Drop the rows whose mask is False."""
        bitmap = np.packbits(~kept, bitorder="little")
        selector = self._faiss.IDSelectorBitmap(len(kept), self._faiss.swig_ptr(bitmap))
        self._index.remove_ids(selector)
        self._view = self._look()
        self._squares = self._squares[: int(np.argmin(kept))]

    def screen(self, queries: Rows, k: int, allowed: Int64Array | None) -> Int64Array:
        """Ask Faiss for a few more than k; for more yet while those may be as near as the k-th."""
        rows = len(self._view) if allowed is None else len(allowed)
        scattered = 2 * rows < len(self._view)  # Faiss would pass over most of them, one by one
        much = len(queries) > _FEW_QUERIES and len(queries) * rows > _LITTLE_WORK
        if scattered or (self._threads == 1 and much):
            return screen_by_product(self._view, self._lengths(), queries, k, allowed)
        self._faiss.omp_set_num_threads(self._threads)  # a setting of the calling thread
        parameters, _bitmap = self._parameters(allowed)
        count = min(k + _SPARE, len(self._view))
        while True:
            distances, positions = self._index.search(queries, count, params=parameters)
            farthest_tie = distances[:, k - 1] * self._rounding + np.float32(1e-30)
            if count == len(self._view) or (distances[:, -1] > farthest_tie).all():
                return cast(Int64Array, positions)
            count = min(4 * count, len(self._view))

    def _lengths(self) -> Rows:
        """Return the squared length of each row; those of new rows are worked out when they are first needed.

        Searches run side by side: each replaces the array by one that is right for all rows it has.
        """
        known = self._squares
        if len(known) < len(self._view):
            known = np.concatenate([known, squares(self._view[len(known) :])])
            self._squares = known
        return known

    def _parameters(self, allowed: Int64Array | None) -> tuple[Any, Any]:
        """Return search parameters, and the memory that they point into."""
        if allowed is None:
            return None, None
        mask = np.zeros(len(self._view), dtype=np.bool_)
        mask[allowed] = True
        bitmap = np.packbits(mask, bitorder="little")
        selector = self._faiss.IDSelectorBitmap(len(mask), self._faiss.swig_ptr(bitmap))
        return self._faiss.SearchParameters(sel=selector), bitmap

    def clear(self) -> None:
        """Drop all rows and release their memory."""
        self._index = self._faiss.IndexFlatL2(self._index.d)
        self._view = self._look()
        self._squares = np.empty(0, dtype=np.float32)

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

    def open(
        self,
        config: FaissConfig,
        *,
        key: IndexKey,  # noqa: ARG002 - each index in memory is one of its own
        dimension: int,
        metric: Metric,
    ) -> VectorIndex:
        """Open an empty index. Faiss itself is imported here, so that its absence is an error of the
        index, which can be recovered from, and not of the plugin."""
        import faiss

        width = dimension + 1 if metric == "cosine" else dimension
        return ExactIndex(FlatTable(faiss, width, config.threads), dimension, metric)


@hookimpl
def cadml_vector_backends() -> Iterable[VectorBackend]:
    """Register the backend."""
    return [FaissBackend()]
