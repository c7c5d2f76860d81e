"""An index that follows the catalogue's change log and is never behind when it answers."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from cadml_core.catalog.store import Catalog
from cadml_core.catalog.writing import PART
from cadml_core.contracts import DurableIndex, Hits, Int64Array, VectorBackend, VectorIndex
from cadml_core.errors import InvalidSetting
from cadml_core.features import FloatMatrix
from cadml_core.metrics import vector_index_size, vector_query_latency_seconds
from cadml_core.similarity.spaces import Space


def backend_config(backend: VectorBackend, options: Mapping[str, Any]) -> msgspec.Struct:
    """Check a backend's options against what it takes.

    Raises:
        InvalidSetting: An option is unknown or impossible.
    """
    try:
        config: msgspec.Struct = msgspec.convert(dict(options), backend.config_type, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidSetting(
            f"vectors.config.{backend.name} = {dict(options)!r} is not possible: {error}",
            setting="CADML_VECTOR_CONFIG",
        ) from error
    return config


class IndexFollower:
    """One backend's index of one space, kept equal to the catalogue.

    Safe to use from many threads: one of them applies what is new, the others wait for it, so every
    search sees all that was committed before it began, by whichever process.
    """

    def __init__(
        self, catalog: Catalog, space: Space, backend: VectorBackend, config: msgspec.Struct
    ) -> None:
        self.space = space
        self.backend = backend
        self._catalog = catalog
        self._config = config
        self._lock = threading.Lock()
        self._index: VectorIndex | None = None
        self._applied = 0

    def search(self, queries: FloatMatrix, k: int, allowed: Int64Array | None = None) -> Hits:
        """Catch up, then search: projected queries (q, dimension); ids are row numbers of parts."""
        index = self.catch_up()
        with vector_query_latency_seconds.labels(backend=self.backend.name).time():
            return index.search(queries, k, allowed)

    def catch_up(self) -> VectorIndex:
        """Apply every committed change and return the index."""
        index = self._index
        if index is not None and self._catalog.last_change() == self._applied:
            return index
        with self._lock:
            newest = self._catalog.last_change()
            if self._index is not None and newest < self._applied:
                self._discard()  # the database was put back to an earlier state
            if self._index is None:
                self._index = self._open()
            if newest != self._applied:
                self._apply(self._index, newest)
            return self._index

    @property
    def applied_change(self) -> int:
        """The last change number that the index holds."""
        return self._applied

    def __len__(self) -> int:
        return 0 if self._index is None else len(self._index)

    def close(self) -> None:
        """Release the index; closing twice is allowed, and the next search opens it again."""
        with self._lock:
            self._discard()

    def _open(self) -> VectorIndex:
        index = self.backend.open(self._config, dimension=self.space.dimension, metric=self.space.metric)
        if isinstance(index, DurableIndex):
            self._applied = index.applied_change()
        return index

    def _discard(self) -> None:
        if self._index is not None:
            self._index.close()
        self._index, self._applied = None, 0

    def _apply(self, index: VectorIndex, newest: int) -> None:
        """Bring the index to ``newest``.

        Values are read after the number, so they may be newer than it: the next catch-up then
        applies them once more, which changes nothing.
        """
        version = self.space.feature.name
        if self._applied == 0:
            rows, raw = self._catalog.vectors(version)
            gone = np.empty(0, dtype=np.int64)
        else:
            changes = self._catalog.changes_since(self._applied, PART)
            changed = np.array(sorted({int(change.key) for change in changes}), dtype=np.int64)
            rows, raw = self._catalog.vectors(version, changed.tolist())
            gone = np.setdiff1d(changed, rows, assume_unique=True)
        if len(gone):
            index.remove(gone)
        if len(rows):
            index.upsert(rows, self.space.project(raw))
        if isinstance(index, DurableIndex):
            index.mark_applied(newest)
        self._applied = newest
        vector_index_size.labels(backend=self.backend.name).set(len(index))
