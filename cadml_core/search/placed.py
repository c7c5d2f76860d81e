"""Where parts lie under a feature version that ranks by a distance of its own, at hand in memory."""

from __future__ import annotations

import threading
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from cadml_core.catalog.engine import PART
from cadml_core.catalog.store import Catalog
from cadml_core.contracts.features import PlacedVersion
from cadml_core.documents.arrays import Int64Array

_CAPACITY = 100_000
"""Most parts kept, about 0.8 kB each of ``shape``; when there would be more, all are dropped."""
_FEW = 1_000
"""After more changes than this it is quicker to begin anew."""
_FIRST = 1_024
"""Parts that there is room for at first; the room doubles."""

Table = NDArray[np.float32]


class Places:
    """Remembers where parts lie, as the catalogue has them now. Thread-safe."""

    def __init__(self, catalog: Catalog, feature: PlacedVersion) -> None:
        self._catalog = catalog
        self._feature = feature
        self._lock = threading.Lock()
        self._positions: dict[int, int] = {}
        """Where each row of the catalogue stands in the table."""
        self._table: Table = np.empty((0, 0), np.float32)
        self._used = 0
        self._change = 0

    def of(self, rows: Collection[int]) -> tuple[Int64Array, Table]:
        """Return row numbers and places of those of these parts that exist and have the version.

        Args:
            rows: Row numbers, each once.

        Returns:
            Row numbers, int64 (n,), and places, float32 (n, d), in no order.
        """
        newest = self._catalog.last_change()
        with self._lock:
            self._forget_changed(newest)
            known = [row for row in rows if row in self._positions]
            places = self._table[[self._positions[row] for row in known]]
        found: Int64Array = np.array(known, np.int64)
        if len(known) < len(rows):
            missing, raw = self._catalog.vectors(self._feature.name, set(rows) - set(known))
            if len(missing):
                fetched = self._feature.place(raw)
                self._keep(missing, fetched, newest)
                found = np.concatenate([found, missing])
                places = np.concatenate([places, fetched]) if known else fetched
        return found, places

    def _keep(self, rows: Int64Array, places: Table, newest: int) -> None:
        with self._lock:
            if self._change != newest:  # one of them may have changed since it was fetched
                return
            if self._used + len(rows) > _CAPACITY:
                self._forget()
            if len(rows) > _CAPACITY:
                return
            end = self._used + len(rows)
            if end > len(self._table):
                # Doubled, so that each place is moved once or twice in all.
                table = np.empty((min(max(2 * end, _FIRST), _CAPACITY), places.shape[1]), np.float32)
                table[: self._used] = self._table[: self._used] if self._used else 0.0
                self._table = table
            self._table[self._used : end] = places
            self._positions.update(zip(rows.tolist(), range(self._used, end), strict=True))
            self._used = end

    def _forget_changed(self, newest: int) -> None:
        if newest == self._change:
            return
        if 0 < newest - self._change <= _FEW and self._positions:
            for change in self._catalog.changes_since(self._change, PART):
                self._positions.pop(int(change.key), None)
        else:
            self._forget()
        self._change = newest

    def _forget(self) -> None:
        self._positions.clear()
        self._used = 0
