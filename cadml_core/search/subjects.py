"""Contents as they are compared, decoded and at hand."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from cachetools import LRUCache

from cadml_core.catalog.feature_lists import comparable
from cadml_core.catalog.records import ReadBy
from cadml_core.catalog.store import Catalog
from cadml_core.relations.relation import Subject

_MOST_FEATURES = 400_000
"""Features that are kept in all, about 150 bytes each, of the contents that were compared last."""
_SUMMARY = 20
"""What a document summary takes, in features."""


class Subjects:
    """Remembers contents as long as they are read as they were. Thread-safe."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._lock = threading.Lock()
        self._known: LRUCache[str, tuple[ReadBy, Subject]] = LRUCache(_MOST_FEATURES, getsizeof=_size)
        self._checked: set[str] = set()
        """Those that are read as they were at the change ``_change``."""
        self._change = -1

    def of(self, hashes: Iterable[str]) -> dict[str, Subject]:
        """Return contents by sha256, with their exact features; unknown ones are left out."""
        wanted, newest = set(hashes), self._catalog.last_change()
        with self._lock:
            if self._change != newest:
                self._change = newest
                self._checked.clear()
            found = {
                sha256: self._known[sha256][1]
                for sha256 in wanted
                if sha256 in self._checked and sha256 in self._known
            }
        if missing := wanted - found.keys():
            found |= self._current(missing, newest)
        return found

    def _current(self, hashes: set[str], newest: int) -> dict[str, Subject]:
        """Return contents as they are read now, decoded anew where they were read otherwise."""
        with self._lock:
            known = {sha256: self._known[sha256] for sha256 in hashes if sha256 in self._known}
        how = self._catalog.readers_of(known)
        kept = {sha256: pair for sha256, pair in known.items() if how.get(sha256) == pair[0]}
        read = {
            sha256: (how, Subject(sha256, document, features))
            for sha256, how, document, features in comparable(self._catalog, hashes - kept.keys())
        }
        with self._lock:
            if self._change == newest:  # else one of them may have been read anew since
                self._checked.update(kept, read)
            for sha256, pair in read.items():
                if _size(pair) <= _MOST_FEATURES:
                    self._known[sha256] = pair
        return {sha256: subject for sha256, (_, subject) in (kept | read).items()}


def _size(pair: tuple[ReadBy, Subject]) -> int:
    features = pair[1].features
    return _SUMMARY + (0 if features is None else len(features))
