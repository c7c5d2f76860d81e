"""Reading and storing what was drawn of contents."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from cadml_core.catalog.engine import upsert
from cadml_core.catalog.store import Catalog
from cadml_core.catalog.tables import contents, pictures
from cadml_core.catalog.writing import picture_row
from cadml_core.documents.drawn import DrawingKind, Drawn

_IS_THERE = sa.select(contents.c.sha256).where(contents.c.sha256 == sa.bindparam("sha256"))


def picture_of(catalog: Catalog, sha256: str, kind: DrawingKind) -> Drawn | None:
    """Return what was drawn of a content; None where that was never tried."""
    query = "SELECT maker, media_type, data, failure FROM pictures WHERE sha256 = ? AND kind = ?"
    for maker, media_type, data, failure in catalog.database.fetch(query, (sha256, kind)):
        return Drawn(kind=kind, maker=maker, media_type=media_type, data=bytes(data), failure=failure)
    return None


def makers_of(catalog: Catalog, hashes: Iterable[str], kind: DrawingKind) -> dict[str, str]:
    """Return who has drawn these contents, or has tried to, by sha256."""
    query = "SELECT sha256, maker FROM pictures WHERE kind = ? AND sha256 IN"
    return dict(catalog.database.fetch_in(query, set(hashes), (kind,)))


def store_picture(catalog: Catalog, sha256: str, drawn: Drawn) -> None:
    """Keep what was drawn of a content that is still there. No change of a part, so it is not logged."""
    with catalog.database.write() as connection:
        if connection.execute(_IS_THERE, {"sha256": sha256}).first():
            upsert(connection, pictures, [picture_row(sha256, drawn)])
