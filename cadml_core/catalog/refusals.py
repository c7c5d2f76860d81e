"""Contents that could not be read, and by which reader, so that each attempt is made once."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from cadml_core.catalog.engine import among, delete_among, upsert
from cadml_core.catalog.store import Catalog
from cadml_core.catalog.tables import refusals

_FORGET = refusals.delete().where(among(refusals.c.sha256))


class Refusal(msgspec.Struct, frozen=True):
    """One reading that failed."""

    sha256: str
    reader: str
    """What the outcome depends on beside the content: adapter, version, limits."""
    path: str
    """What the error calls the file."""
    error: str
    """JSON; the catalogue does not look into it."""
    at: str
    """ISO 8601, UTC."""


class Refusals:
    """The readings that failed. Every call is one transaction."""

    def __init__(self, catalog: Catalog) -> None:
        self._database = catalog.database

    def of(self, hashes: Iterable[str]) -> dict[str, list[Refusal]]:
        """Return what is remembered of these contents, by sha256."""
        found: dict[str, list[Refusal]] = {}
        query = "SELECT sha256, reader, path, error, at FROM refusals WHERE sha256 IN"
        for record in self._database.fetch_in(query, hashes):
            found.setdefault(record[0], []).append(Refusal(*record))
        return found

    def remember(self, refusal: Refusal) -> None:
        """Store one, in place of an earlier one of the same content and reader."""
        with self._database.write() as connection:
            upsert(connection, refusals, [msgspec.structs.astuple(refusal)])

    def forget(self, hashes: Iterable[str]) -> None:
        """Remove whatever is remembered of these contents."""
        with self._database.write() as connection:
            delete_among(connection, _FORGET, hashes)
