"""The catalogue: parts, contents, vectors and the change log in one SQL database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import sqlalchemy as sa

from cadml_core.catalog import removal, schema, writing
from cadml_core.catalog.conditions import Conditions
from cadml_core.catalog.engine import Database, among, parse_url, select_among
from cadml_core.catalog.packing import matrix, require_sound, unpack
from cadml_core.catalog.records import Change, Content, NewPart, Outcome, Part, PartFilter, ReadBy, Vector
from cadml_core.catalog.tables import contents
from cadml_core.clock import timestamp
from cadml_core.documents.arrays import FloatMatrix, FloatVector, Int64Array
from cadml_core.documents.document import decode_summary
from cadml_core.errors import NotFound

_PART_SQL = (
    "SELECT p.row, p.id, p.name, p.sha256, c.format, p.path, p.material, p.project, p.label, p.meta,"
    " p.created, p.updated FROM parts p LEFT JOIN contents c ON c.sha256 = p.sha256"
)

_CONTENTS = sa.select(contents).where(among(contents.c.sha256))


def _now() -> str:
    return timestamp(datetime.now(UTC))


class Catalog:
    """The truth about every part; every index is a copy of it.

    Each method is one transaction: it happens as a whole or not at all, and what it returned
    survives the death of the process. Methods may be called from any thread. All raise
    ``CatalogueUnavailable`` where the database is locked, damaged, full, read-only or unreachable.
    """

    def __init__(self, database: Database, now: Callable[[], str] = _now) -> None:
        self.database = database
        self.now = now
        self._conditions = Conditions(database)

    @classmethod
    def open(cls, url: str, *, lock_timeout: float = 30.0) -> Catalog:
        """Open a catalogue; an absent one is created, one of an older cadml is brought forward.

        Args:
            url: ``sqlite:////folder/file.sqlite3`` or ``postgresql://user:password@host/database``.
            lock_timeout: Seconds to wait for another process's write.

        Raises:
            InvalidSetting: The URL is not possible.
            CatalogueUnavailable: The database cannot be used, or was written by a newer cadml.
        """
        database = Database(parse_url(url), lock_timeout=lock_timeout)
        try:
            schema.prepare(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    def close(self) -> None:
        """Close every connection; closing twice is allowed."""
        self.database.close()

    def __enter__(self) -> Catalog:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # Writing

    def add(self, batch: Sequence[NewPart]) -> list[Outcome]:
        """Add parts, or change those that are there, with contents, vectors and change numbers.

        Raises:
            InvalidInput: A record does not fit; nothing of the batch was written.
        """
        if not batch:
            return []
        with self.database.write() as connection:
            return writing.BatchWriter(connection, self.now()).apply(batch)

    def register_vector(
        self, part_id: str, version: str, values: FloatVector, meta: Mapping[str, Any] | None = None
    ) -> Outcome:
        """Give a part a vector without a file; a part of that id is made where there is none."""
        vector = Vector(values, "registered")
        return self.add([NewPart(id=part_id, vectors={version: vector}, meta=meta)])[0]

    def remove(self, *ids: str) -> None:
        """Delete parts, their vectors, and their contents where no other part has them.

        Raises:
            NotFound: There is no part of one of these ids; nothing is deleted.
        """
        with self.database.write() as connection:
            for part_id in ids:
                removal.remove_part(connection, part_id)

    def remove_vectors(self, part_id: str) -> None:
        """Delete a part's vectors; the part itself too where it has no file.

        Raises:
            NotFound: There is no such part, or it has no vector.
        """
        with self.database.write() as connection:
            removal.remove_vectors(connection, part_id)

    # Parts and contents

    def part(self, part_id: str) -> Part:
        """Return one part.

        Raises:
            NotFound: There is no such part.
        """
        found = self._parts("p.id = ?", (part_id,))
        if not found:
            raise removal.no_part(part_id)
        return found[0]

    def parts(
        self, which: PartFilter | None = None, *, after: int = 0, limit: int | None = None
    ) -> list[Part]:
        """Return parts in the order of their row numbers.

        Args:
            which: Only these; all where None.
            after: Only rows above this one: the cursor of the next page is the last row of this one.
            limit: At most so many.
        """
        condition, values = self._conditions.sql(which)
        tail = " ORDER BY p.row" + ("" if limit is None else f" LIMIT {int(limit)}")
        return self._parts(f"p.row > ? AND {condition}", (after, *values), tail)

    def parts_by_row(self, rows: Iterable[int]) -> dict[int, Part]:
        """Return the parts of these row numbers; those that are gone are left out."""
        return {part.row: part for part in self._parts_in("p.row", map(int, rows))}

    def parts_by_id(self, ids: Iterable[str]) -> dict[str, Part]:
        """Return the parts of these ids; unknown ones are left out."""
        return {part.id: part for part in self._parts_in("p.id", set(ids))}

    def parts_by_path(self, paths: Iterable[str]) -> dict[str, Part]:
        """Return the parts that have these paths, as ``path_to_text`` writes them."""
        return {part.path: part for part in self._parts_in("p.path", paths) if part.path is not None}

    def parts_by_sha256(self, sha256: str, *, limit: int = 1 << 62) -> list[Part]:
        """Return the parts with this content, oldest first, at most so many."""
        return self.parts_where("p.sha256 = ?", (sha256,), limit=limit)

    def parts_where(self, condition: str, values: tuple[Any, ...], *, limit: int) -> list[Part]:
        """Return the first parts that meet a condition, as ``Conditions`` writes them, by row number."""
        return self._parts(condition, values, f" ORDER BY p.row LIMIT {int(limit)}")

    def parts_with_contents(self, hashes: Iterable[str]) -> list[Part]:
        """Return every part with one of these contents, by row number."""
        return sorted(self._parts_in("p.sha256", set(hashes)), key=lambda part: part.row)

    def rows(self, which: PartFilter) -> Int64Array:
        """Return the row numbers of the parts that fit, ascending."""
        condition, values = self._conditions.sql(which)
        found = self.database.fetch(
            "SELECT p.row FROM parts p LEFT JOIN contents c ON c.sha256 = p.sha256"
            f" WHERE {condition} ORDER BY p.row",
            values,
        )
        return np.fromiter((row for (row,) in found), dtype=np.int64, count=len(found))

    def contents(self, hashes: Iterable[str]) -> dict[str, Content]:
        """Return the contents of these sha256 that are stored.

        Raises:
            CatalogueUnavailable: One is not what was written.
        """
        with self.database.read() as connection:
            records = select_among(connection, _CONTENTS, set(hashes))
        for record in records:
            require_sound(record[:-1], record.checksum)
        return {
            record.sha256: Content(
                sha256=record.sha256,
                size=record.size,
                format=record.format,
                adapter_version=record.adapter_version,
                document=decode_summary(record.summary),
                unit=record.unit,
            )
            for record in records
        }

    def readers_of(self, hashes: Iterable[str]) -> dict[str, ReadBy]:
        """Return how each of these contents that is stored was read."""
        query = "SELECT sha256, format, adapter_version, unit FROM contents WHERE sha256 IN"
        return {sha256: ReadBy(*how) for sha256, *how in self.database.fetch_in(query, hashes)}

    # Vectors

    def vector(self, part_id: str, version: str) -> Vector:
        """Return a part's raw values.

        Raises:
            NotFound: There is no such part, or it has no vector of that version; the message says
                which versions it has.
        """
        row = self.part(part_id).row
        found = self.vectors_of([row]).get(row, {})
        if version not in found:
            raise NotFound(
                f"part {part_id!r} has no {version} vector; it has: {', '.join(sorted(found)) or 'none'}",
                id=part_id,
                version=version,
            )
        return found[version]

    def values_of(self, ids: Iterable[str], version: str) -> tuple[list[str], Int64Array, FloatMatrix]:
        """Return ids, row numbers and raw values of those parts that exist and have any of that version.

        Returns:
            Ids (n), each once and in no order, row numbers int64 (n,) and raw values float64 (n, slots).
        """
        found = self.database.fetch_in(
            # LEFT keeps SQLite from beginning with the vectors, of which it would read every one.
            "SELECT p.id, p.row, v.raw FROM parts p"
            " LEFT JOIN vectors v ON v.part = p.row AND v.version = ? WHERE p.id IN",
            dict.fromkeys(ids),
            (version,),
        )
        having = [record for record in found if record[2] is not None]
        rows, raw = matrix(version, [record[1:] for record in having])
        return [record[0] for record in having], rows, raw

    def extracted_from(self, sha256: str, version: str) -> FloatVector | None:
        """Return the raw values that were extracted from this content for any part, None where for none."""
        found = self.database.fetch(
            "SELECT v.raw FROM parts p JOIN vectors v ON v.part = p.row AND v.version = ?"
            " WHERE p.sha256 = ? AND v.source = 'extracted' LIMIT 1",
            (version, sha256),
        )
        return unpack(found[0][0]) if found else None

    def versions_extracted_from(self, sha256: str) -> set[str]:
        """Return the feature versions that were extracted from this content for any part."""
        found = self.database.fetch(
            "SELECT DISTINCT v.version FROM parts p JOIN vectors v ON v.part = p.row"
            " WHERE p.sha256 = ? AND v.source = 'extracted'",
            (sha256,),
        )
        return {version for (version,) in found}

    def vectors_of(self, rows: Iterable[int]) -> dict[int, dict[str, Vector]]:
        """Return every vector of these parts, by row and feature version."""
        found: dict[int, dict[str, Vector]] = {}
        for part, version, source, raw in self.database.fetch_in(
            "SELECT part, version, source, raw FROM vectors WHERE part IN", map(int, rows)
        ):
            found.setdefault(part, {})[version] = Vector(unpack(raw), source)
        return found

    def versions_of(self, rows: Iterable[int]) -> dict[int, set[str]]:
        """Return the feature versions that these parts have vectors of; parts without any are left out."""
        found: dict[int, set[str]] = {}
        query = "SELECT part, version FROM vectors WHERE part IN"
        for part, version in self.database.fetch_in(query, map(int, rows)):
            found.setdefault(part, set()).add(version)
        return found

    def vectors(self, version: str, rows: Iterable[int] | None = None) -> tuple[Int64Array, FloatMatrix]:
        """Return raw values in bulk.

        Args:
            version: The feature version.
            rows: Only of these parts; all where None.

        Returns:
            Row numbers int64 (n,), ascending, and raw values float64 (n, slots); slots is 0 where n is.
        """
        query = "SELECT part, raw FROM vectors WHERE version = ?"
        if rows is None:
            records = self.database.fetch(f"{query} ORDER BY part", (version,))
        else:
            wanted = sorted({int(row) for row in rows})
            records = sorted(self.database.fetch_in(f"{query} AND part IN", wanted, (version,)))
        return matrix(version, records)

    # Changes

    @property
    def local(self) -> bool:
        """True where a query is a call in this process, so that it never waits for a network."""
        return self.database.sqlite

    @cached_property
    def identity(self) -> str:
        """32 hex digits that no other catalogue has, made up when this one was created."""
        return str(self.database.fetch("SELECT id FROM identity")[0][0])

    def require_available(self) -> None:
        """Raise ``CatalogueUnavailable`` where the database does not answer, or its file is another now."""
        self.last_change()
        self.database.require_file()

    def last_change(self) -> int:
        """Return the newest committed change number; costs a few microseconds on SQLite."""
        return int(self.database.fetch("SELECT change FROM counters")[0][0])

    def changes_since(self, sequence: int, kind: str | None = None) -> list[Change]:
        """Return the changes above this number, oldest first: of each thing its latest only."""
        query = (
            "SELECT sequence, kind, key FROM changes"
            " WHERE sequence > ? AND kind = coalesce(?, kind) ORDER BY sequence"
        )
        return [Change(*record) for record in self.database.fetch(query, (sequence, kind))]

    def _parts(self, condition: str, values: tuple[Any, ...], tail: str = "") -> list[Part]:
        return [
            _part(record) for record in self.database.fetch(f"{_PART_SQL} WHERE {condition}{tail}", values)
        ]

    def _parts_in(self, column: str, values: Iterable[Any]) -> list[Part]:
        return [_part(record) for record in self.database.fetch_in(f"{_PART_SQL} WHERE {column} IN", values)]


def _part(record: tuple[Any, ...]) -> Part:
    row, part_id, name, sha256, form, path, material, project, label, text, created, updated = record
    meta = {} if text == "{}" else msgspec.json.decode(text)
    return Part(row, part_id, name, sha256, form, path, material, project, label, meta, created, updated)
