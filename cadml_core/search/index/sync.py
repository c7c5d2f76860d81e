"""An index that follows the catalogue's change log and is never behind when it answers."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np

from cadml_core.catalog.engine import PART
from cadml_core.catalog.store import Catalog
from cadml_core.catalog.vector_blocks import vector_blocks
from cadml_core.contracts.vectors import DurableIndex, Hits, IndexKey, VectorBackend, VectorIndex
from cadml_core.documents.arrays import FloatMatrix, Int64Array
from cadml_core.errors import InvalidSetting
from cadml_core.metrics import WITHDRAWN, vector_index_size, vector_query_latency_seconds
from cadml_core.search.index.deadline import call_within
from cadml_core.search.index.recheck import IndexFailed, Recheck, require_full, require_plausible
from cadml_core.search.spaces import Space

log = logging.getLogger(__name__)
T = TypeVar("T")

SEARCH_SECONDS = 10.0
"""Longest search of an index that lives outside this process."""
CHANGE_SECONDS = 120.0
"""Longest opening, upsert or removal of such an index."""


class Answer(NamedTuple):
    """Hits, and who gave them."""

    hits: Hits
    backend: str
    degraded: bool


class BackendChoice(NamedTuple):
    """A backend with its checked options."""

    backend: VectorBackend
    config: msgspec.Struct


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


class _InUse:
    """How many indexes of each backend are open, so that the size of a backend without one is not shown."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: Counter[str] = Counter()

    def add(self, backend: str) -> None:
        """One was opened."""
        with self._lock:
            self._open[backend] += 1

    def remove(self, backend: str) -> None:
        """One was closed."""
        with self._lock:
            self._open[backend] -= 1
            if not self._open[backend]:
                vector_index_size.labels(backend=backend).set(WITHDRAWN)


_in_use = _InUse()


class IndexFollower:
    """One backend's index of one space, kept equal to the catalogue.

    Safe to use from many threads: one of them applies what is new, the others wait for it, so every
    search sees all that was committed before it began, by whichever process. The index is closed
    when the last search that uses this follower has ended and nothing refers to it any more.

    A backend may say ``in_process = True``: its index works in this process's memory and cannot
    hang on a network. Calls of all others get a time limit.
    """

    def __init__(
        self, catalog: Catalog, space: Space, backend: VectorBackend, config: msgspec.Struct
    ) -> None:
        self.space = space
        self.backend = backend
        self._catalog = catalog
        self._config = config
        self._recheck = Recheck(catalog, space)
        self._lock = threading.Lock()
        self._index: VectorIndex | None = None
        self._closer: weakref.finalize[Any, Any] | None = None
        self._applied = 0
        self._size = 0
        self._generation = 0
        """Odd while the index is being changed; another even number after each change."""
        remote = not getattr(backend, "in_process", False)
        self._search_seconds = SEARCH_SECONDS if remote else None
        self._change_seconds = CHANGE_SECONDS if remote else None
        self._latency = vector_query_latency_seconds.labels(backend=backend.name)

    def search(
        self, queries: FloatMatrix, k: int, allowed: Int64Array | None = None, *, change: int | None = None
    ) -> Hits:
        """Catch up, then search.

        Args:
            queries: Projected, (q, dimension).
            k: How many neighbours of each.
            allowed: Only these row numbers, ascending; None: all.
            change: The newest change, where the caller has just asked the catalogue for it.

        Returns:
            Row numbers of parts, and distances.

        Raises:
            IndexFailed: The index raised, did not answer in time, or answered what cannot be.
        """
        index = self.catch_up(change)
        generation, size, applied = self._generation, self._size, self._applied
        start = time.perf_counter()
        hits = self._call("search", self._search_seconds, index.search, queries, k, allowed)
        self._latency.observe(time.perf_counter() - start)
        require_plausible(hits, len(queries), k, allowed)
        if generation == self._generation and not generation % 2:
            if allowed is None:
                require_full(hits, min(k, size))
            self._recheck.compare(queries, hits, allowed, size, applied)
        return hits

    def catch_up(self, change: int | None = None) -> VectorIndex:
        """Apply every committed change, ``change`` at least, and return the index.

        Raises:
            IndexFailed: The index could not be opened or changed.
        """
        index = self._index
        if index is not None and self._applied == (self._catalog.last_change() if change is None else change):
            return index
        with self._lock:
            newest = self._catalog.last_change()
            if self._index is not None and newest < self._applied:
                self._discard()  # the database was put back to an earlier state
            if self._index is None:
                self._index = self._open(newest)
            if newest != self._applied:
                self._apply(self._index, newest)
            return self._index

    @property
    def applied_change(self) -> int:
        """The last change number that the index holds."""
        return self._applied

    @property
    def known_size(self) -> int:
        """How many vectors the index held when it last changed; never waits."""
        return self._size

    def __len__(self) -> int:
        index = self._index
        return 0 if index is None else self._call("len", self._search_seconds, len, index)

    def rebuild(self) -> None:
        """Drop what the index holds; the next search fills it from the catalogue.

        Raises:
            IndexFailed: It could not be opened or cleared.
        """
        with self._lock:
            if self._index is None:
                self._index = self._open(self._catalog.last_change())
            if isinstance(self._index, DurableIndex):
                self._call("clear", self._change_seconds, self._index.clear)
            self._discard()

    @property
    def durable(self) -> bool:
        """Whether the index, once it is open, outlives this process."""
        return isinstance(self._index, DurableIndex)

    def close(self) -> None:
        """Release the index; closing twice is allowed, and the next search opens it again."""
        with self._lock:
            self._discard()

    def _call(self, what: str, seconds: float | None, function: Callable[..., T], *arguments: Any) -> T:
        try:
            if seconds is None:
                return function(*arguments)
            return call_within(seconds, function, *arguments)
        # A backend is third-party code, and the engine behind it may fail in any way.
        except Exception as error:
            raise IndexFailed(f"{what}: {type(error).__name__}: {error}") from error

    def _open(self, newest: int) -> VectorIndex:
        """Open the index by its key; ``newest`` is the catalogue's last change."""
        space = self.space
        key = IndexKey(self._catalog.identity, space.feature.name, space.name)
        index = self._call(
            "open",
            self._change_seconds,
            partial(self.backend.open, self._config, key=key, dimension=space.dimension, metric=space.metric),
        )
        _in_use.add(self.backend.name)
        self._closer = weakref.finalize(self, _close, index, self.backend.name)
        self._closer.atexit = False
        if isinstance(index, DurableIndex):
            self._applied = self._call("open", self._change_seconds, index.applied_change)
            if self._applied > newest:  # it has seen changes that a restored database has not
                self._call("clear", self._change_seconds, index.clear)
                self._applied = 0
            self._size = self._call("open", self._change_seconds, len, index)
        self._show_size()
        return index

    def _show_size(self) -> None:
        vector_index_size.labels(backend=self.backend.name).set(self._size)

    def _discard(self) -> None:
        if self._closer is not None:
            self._closer()
        self._index, self._closer, self._applied, self._size = None, None, 0, 0
        self._recheck = Recheck(self._catalog, self.space)

    def _apply(self, index: VectorIndex, newest: int) -> None:
        """Bring the index to ``newest``.

        Values are read after the number, so they may be newer than it: the next catch-up then
        applies them once more, which changes nothing.
        """
        rows, vectors, gone = self._changed_since(self._applied)

        def change() -> int:
            if len(gone):
                index.remove(gone)
            if len(rows):
                index.upsert(rows, vectors)
            if isinstance(index, DurableIndex):
                index.mark_applied(newest)
            return len(index)

        built_anew = self._applied == 0
        self._generation += 1
        try:
            self._size = self._call("change", self._change_seconds, change)
        finally:
            self._generation += 1
        if built_anew and self._size != len(rows):
            raise IndexFailed(f"change: was given {len(rows)} vectors and holds {self._size}")
        self._applied = newest
        self._show_size()

    def _changed_since(self, applied: int) -> tuple[Int64Array, FloatMatrix, Int64Array]:
        """Rows with their vectors now, and the rows that have none any more."""
        version = self.space.feature.name
        if applied == 0:
            return (*self._every(version), np.empty(0, dtype=np.int64))
        changes = self._catalog.changes_since(applied, PART)
        changed = np.array(sorted({int(change.key) for change in changes}), dtype=np.int64)
        rows, raw = self._catalog.vectors(version, changed.tolist())
        vectors = self.space.project(raw) if len(rows) else raw
        return rows, vectors, np.setdiff1d(changed, rows, assume_unique=True)

    def _every(self, version: str) -> tuple[Int64Array, FloatMatrix]:
        """Return all rows with their vectors. Raw values, which may be much longer, go block by block."""
        blocks = [(rows, self.space.project(raw)) for rows, raw in vector_blocks(self._catalog, version)]
        if not blocks:
            return self._catalog.vectors(version, [])
        return np.concatenate([rows for rows, _ in blocks]), np.concatenate([found for _, found in blocks])


def _close(index: VectorIndex, name: str) -> None:
    try:
        # Where the garbage collector calls this, its thread may hold the locks of the metrics.
        threading.Thread(target=_in_use.remove, args=(name,), name="cadml-index-closed", daemon=True).start()
        call_within(SEARCH_SECONDS, index.close)
    # Nobody waits for this index any more; how it fails to close concerns only the log.
    except Exception:
        log.warning("the index of %s did not close", name, exc_info=True)
