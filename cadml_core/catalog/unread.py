"""The files that could not be read, and why: kept, so that nobody has to read them again to know."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from cadml_core.catalog.engine import among, delete_among, storable, upsert
from cadml_core.catalog.store import Catalog
from cadml_core.catalog.tables import unread

_DROP = unread.delete().where(among(unread.c.path))
_ALL = sa.select(unread.c.path, unread.c.code, unread.c.message, unread.c.at).order_by(unread.c.path)


class UnreadFile(NamedTuple):
    """One file or folder, and why it was refused."""

    path: str
    """As ``cadml_core.catalog.paths`` writes it."""
    code: str
    message: str
    at: str
    """When it was last tried; ISO 8601, UTC."""


class UnreadFiles:
    """What the last attempts at files said. Every call is one transaction."""

    def __init__(self, catalog: Catalog) -> None:
        self._database = catalog.database
        self._now = catalog.now

    def all(self) -> list[UnreadFile]:
        """Return all of them, by path."""
        with self._database.read() as connection:
            return [UnreadFile(*record) for record in connection.execute(_ALL)]

    def note(self, refused: Sequence[tuple[str, str, str]], settled: Collection[str]) -> None:
        """Keep what was refused (path, code, message), and forget what is settled (paths)."""
        known = {path for (path,) in self._database.fetch("SELECT path FROM unread")}
        gone = known.intersection(settled)
        if not refused and not gone:
            return
        at = self._now()
        rows = [(path, code, _stored(message), at) for path, code, message in refused]
        with self._database.write() as connection:
            delete_among(connection, _DROP, gone)
            if rows:
                upsert(connection, unread, rows)


def _stored(message: str) -> str:
    return message if storable(message) else ascii(message)
