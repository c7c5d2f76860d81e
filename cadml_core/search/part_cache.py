"""Parts that were found, at hand in memory."""

from __future__ import annotations

import threading
from collections.abc import Collection

from cadml_core.catalog.engine import PART
from cadml_core.catalog.records import Part
from cadml_core.catalog.store import Catalog

_CAPACITY = 100_000
"""Most parts kept, about 0.7 kB each; when there would be more, all are dropped."""
_FEW = 1_000
"""So many changes are dropped one by one; after more than that it is quicker to begin anew."""


class PartCache:
    """Looks up parts by row number; what the catalogue has changed is never shown. Thread-safe."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._lock = threading.Lock()
        self._known: dict[int, Part] = {}
        self._change = 0

    def get(self, rows: Collection[int], change: int | None = None) -> dict[int, Part]:
        """Return the parts of these rows as they are now; those that are gone are left out.

        Args:
            rows: Their row numbers.
            change: Show them as they are since this change at least; None: since the newest.
        """
        newest = self._change if change == self._change else self._catalog.last_change()
        with self._lock:
            self._forget_changed(newest)
            known = self._known
            found = {row: known[row] for row in rows if row in known}
        if len(found) == len(rows):
            return found
        fetched = self._catalog.parts_by_row(row for row in rows if row not in found)
        with self._lock:
            if self._change == newest:  # else one of them may have changed since it was fetched
                if len(self._known) + len(fetched) > _CAPACITY:
                    self._known.clear()
                self._known.update(fetched)
        return found | fetched

    def _forget_changed(self, newest: int) -> None:
        if newest < self._change:  # another thread has seen a newer one; or the database was put back
            newest = self._catalog.last_change()
        if newest == self._change:
            return
        if 0 < newest - self._change <= _FEW and self._known:
            for change in self._catalog.changes_since(self._change, PART):
                self._known.pop(int(change.key), None)
        else:
            self._known.clear()
        self._change = newest
