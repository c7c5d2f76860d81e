"""Delete parts and vectors, and the contents that no part has any more, within a transaction of the store."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from cadml_core.catalog.engine import among, delete_among, lock, log_changes
from cadml_core.catalog.tables import contents, parts, vectors
from cadml_core.errors import NotFound

_DROP_ORPHANS = contents.delete().where(
    among(contents.c.sha256), ~sa.exists().where(parts.c.sha256 == contents.c.sha256)
)


def remove_part(connection: Connection, part_id: str) -> None:
    """Delete a part, its vectors, and its content where no other part has it.

    Raises:
        NotFound: There is no such part.
    """
    numbers = lock(connection)
    row, sha256 = _find_part(connection, part_id)
    connection.execute(parts.delete().where(parts.c.row == row))
    delete_orphans(connection, [sha256] if sha256 else [])
    log_changes(connection, numbers, [str(row)])


def remove_vectors(connection: Connection, part_id: str) -> None:
    """Delete a part's vectors; the part itself too where it has no file.

    Raises:
        NotFound: There is no such part, or it has no vector.
    """
    numbers = lock(connection)
    row, sha256 = _find_part(connection, part_id)
    if not connection.execute(vectors.delete().where(vectors.c.part == row)).rowcount:
        raise NotFound(f"part {part_id!r} has no vector", stage="catalogue", id=part_id)
    if sha256 is None:
        connection.execute(parts.delete().where(parts.c.row == row))
    log_changes(connection, numbers, [str(row)])


def no_part(part_id: str) -> NotFound:
    """Return the error for an id that no part has."""
    return NotFound(f"no part {part_id!r} in the catalogue", stage="catalogue", id=part_id)


def _find_part(connection: Connection, part_id: str) -> tuple[int, str | None]:
    query = sa.select(parts.c.row, parts.c.sha256).where(parts.c.id == part_id)
    found = connection.execute(query).one_or_none()
    if found is None:
        raise no_part(part_id)
    return found.row, found.sha256


def delete_orphans(connection: Connection, hashes: Iterable[str]) -> None:
    """Delete those of these contents that no part has any more."""
    delete_among(connection, _DROP_ORPHANS, hashes)
