"""What is remembered of compared contents: how they are found, and what they are to one another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from cadml_core.catalog.engine import CHUNK, among, delete_among, select_among, upsert
from cadml_core.catalog.store import Catalog
from cadml_core.catalog.tables import compared, links
from cadml_core.duplicates.blocks import Entry, Role, Stored
from cadml_core.relations.relation import RULES, Relation

_ROW = 5 * 8
"""Bytes of the keys of one body."""
_decode = msgspec.json.Decoder(Relation).decode
_LINKED_A = sa.select(links.c.b).where(among(links.c.a))
_LINKED_B = sa.select(links.c.a).where(among(links.c.b))


class Link(NamedTuple):
    """What the second content is to the first."""

    a: str
    """sha256."""
    b: str
    relation: Relation


class Compared(NamedTuple):
    """A content that was compared with every other of its kind."""

    sha256: str
    basis: str
    """Of ``basis``: where it has changed, the content is compared again."""
    entry: Entry
    role: Role
    unread: int
    """Pairs that only meshes could decide, in a run that was to read none."""


def basis(form: str, adapter_version: str, unit: str | None) -> str:
    """Return what a comparison rests on besides the bytes: the rules, the adapter and the stated unit."""
    return f"{RULES}/{form}-{adapter_version}/{unit or ''}"


class Links:
    """Reads and writes the tables of compared contents and links."""

    def __init__(self, catalog: Catalog) -> None:
        self._database = catalog.database

    def stored(self) -> Stored:
        """Return every content that was compared, by sha256."""
        query = "SELECT sha256, exact, placed, role, keys FROM compared WHERE sha256 > ?"
        hashes: list[str] = []
        packed: list[bytes] = []
        columns: list[tuple[int, int, int, int]] = []
        after = ""
        while found := self._database.fetch(f"{query} ORDER BY sha256 LIMIT {10 * CHUNK}", (after,)):
            hashes += [record[0] for record in found]
            columns += [(exact, placed, role, len(keys) // _ROW) for _, exact, placed, role, keys in found]
            packed.append(b"".join(record[4] for record in found))
            after = found[-1][0]
        exact, placed, roles, counts = np.array(columns, np.int64).reshape(-1, 4).T
        keys = np.frombuffer(b"".join(packed), np.float64).reshape(-1, 5)
        return Stored(hashes, counts, keys, exact.astype(bool), placed, roles)

    def exact(self) -> set[str]:
        """Return the contents that have surfaces, not facets."""
        return {sha256 for (sha256,) in self._database.fetch("SELECT sha256 FROM compared WHERE exact = 1")}

    def all(self) -> list[Link]:
        """Return every link, in the order of the hashes."""
        found = self._database.fetch("SELECT a, b, relation FROM links ORDER BY a, b")
        return [Link(a, b, _decode(relation)) for a, b, relation in found]

    def write(
        self, connection: Connection, rows: Sequence[Compared], new: Mapping[tuple[str, str], Relation]
    ) -> None:
        """Remember compared contents and their links, in the caller's transaction."""
        packed = [
            (
                row.sha256,
                row.basis,
                int(row.entry.exact),
                row.entry.placed,
                row.role,
                row.unread,
                np.ascontiguousarray(row.entry.keys).tobytes(),
            )
            for row in rows
        ]
        if packed:
            upsert(connection, compared, packed)
        if new:
            encoded = [(a, b, msgspec.json.encode(relation).decode()) for (a, b), relation in new.items()]
            upsert(connection, links, encoded)

    def forget(self, connection: Connection, hashes: Iterable[str]) -> None:
        """Forget contents and their links; those they were linked with are to be compared again."""
        gone = set(hashes)
        if not gone:
            return
        partners = {
            row[0] for query in (_LINKED_A, _LINKED_B) for row in select_among(connection, query, gone)
        }
        delete_among(connection, links.delete().where(among(links.c.a)), gone)
        delete_among(connection, links.delete().where(among(links.c.b)), gone)
        delete_among(connection, compared.delete().where(among(compared.c.sha256)), gone | partners)
