"""Contents as they are compared, decoded and at hand."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from cadml_core.catalog.feature_lists import feature_lists
from cadml_core.catalog.records import ReadBy
from cadml_core.catalog.store import Catalog
from cadml_core.relations.relation import Subject

_CAPACITY, _MOST_FEATURES = 2_000, 300_000
"""Contents that are kept, and features of them in all, about 150 bytes each; beyond, all are dropped."""


class Subjects:
    """Remembers contents as long as they are read as they were. Thread-safe."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._lock = threading.Lock()
        self._known: dict[tuple[str, ReadBy], Subject] = {}
        self._features = 0

    def of(self, hashes: Iterable[str]) -> dict[str, Subject]:
        """Return contents by sha256, with their exact features; unknown ones are left out."""
        how = self._catalog.readers_of(set(hashes))
        with self._lock:
            found = {key[0]: self._known[key] for key in how.items() if key in self._known}
        missing = set(how) - set(found)
        if not missing:
            return found
        contents, features = self._catalog.contents(missing), feature_lists(self._catalog, missing)
        for sha256, content in contents.items():
            subject = Subject(sha256, content.document, features.get(sha256))
            found[sha256] = subject
            read = ReadBy(content.format, content.adapter_version, content.unit)
            if read == how[sha256]:  # else it was read anew in between
                self._keep((sha256, read), subject)
        return found

    def _keep(self, key: tuple[str, ReadBy], subject: Subject) -> None:
        size = 0 if subject.features is None else len(subject.features)
        with self._lock:
            if len(self._known) >= _CAPACITY or self._features + size > _MOST_FEATURES:
                self._known.clear()
                self._features = 0
            if size <= _MOST_FEATURES:
                self._known[key] = subject
                self._features += size
