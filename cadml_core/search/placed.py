"""Where parts lie under a feature version that ranks by a distance of its own, at hand in memory."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cadml_core.catalog.engine import PART
from cadml_core.catalog.store import Catalog
from cadml_core.contracts.features import PlacedVersion

_CAPACITY = 100_000
"""Most parts kept, about 0.8 kB each of ``shape``; when there would be more, all are dropped."""
_FEW = 1_000
"""After more changes than this it is quicker to begin anew."""


class Place(NamedTuple):
    """Where one part lies."""

    row: int
    place: NDArray[np.float32]


class Places:
    """Remembers where parts lie, as the catalogue has them now. Thread-safe."""

    def __init__(self, catalog: Catalog, feature: PlacedVersion) -> None:
        self._catalog = catalog
        self._feature = feature
        self._lock = threading.Lock()
        self._known: dict[str, Place] = {}
        self._ids: dict[int, str] = {}
        self._change = 0

    def of(self, ids: Collection[str]) -> tuple[list[str], list[int], NDArray[np.float32]]:
        """Return ids, row numbers and places of those of these parts that have the version.

        Returns:
            Ids and row numbers (n), and places, float32 (n, d).
        """
        newest = self._catalog.last_change()
        with self._lock:
            self._forget_changed(newest)
            found = {part_id: self._known[part_id] for part_id in ids if part_id in self._known}
        missing = [part_id for part_id in ids if part_id not in found]
        if missing:
            fetched = self._fetched(missing)
            found |= fetched
            self._keep(fetched, newest)
        if not found:
            return [], [], np.empty((0, 0), np.float32)
        rows = [place.row for place in found.values()]
        return list(found), rows, np.stack([place.place for place in found.values()])

    def _fetched(self, ids: Collection[str]) -> dict[str, Place]:
        known, rows, raw = self._catalog.values_of(ids, self._feature.name)
        if not known:
            return {}
        places = self._feature.place(raw)
        # Each by itself, so that one that stays does not keep all of them in memory.
        return {
            part_id: Place(row, places[number].copy())
            for number, (part_id, row) in enumerate(zip(known, rows.tolist(), strict=True))
        }

    def _keep(self, fetched: Mapping[str, Place], newest: int) -> None:
        with self._lock:
            if self._change != newest:  # one of them may have changed since it was fetched
                return
            if len(self._known) + len(fetched) > _CAPACITY:
                self._known.clear()
                self._ids.clear()
            self._known.update(fetched)
            self._ids.update((place.row, part_id) for part_id, place in fetched.items())

    def _forget_changed(self, newest: int) -> None:
        if newest == self._change:
            return
        if 0 < newest - self._change <= _FEW and self._known:
            for change in self._catalog.changes_since(self._change, PART):
                self._known.pop(self._ids.pop(int(change.key), ""), None)
        else:
            self._known.clear()
            self._ids.clear()
        self._change = newest
