"""What a run has to compare: contents that are new, that were read otherwise, or whose partner is gone."""

from __future__ import annotations

from cadml_core.catalog.engine import PART
from cadml_core.catalog.store import Catalog
from cadml_core.duplicates.links import Links, basis

_GONE = "SELECT k.sha256 FROM compared k LEFT JOIN contents c ON c.sha256 = k.sha256 WHERE c.sha256 IS NULL"
_NEW = "SELECT c.sha256 FROM contents c LEFT JOIN compared k ON k.sha256 = c.sha256 WHERE k.sha256 IS NULL"
_COLUMNS = "SELECT DISTINCT c.sha256, c.format, c.adapter_version, c.unit, k.basis"
_CHANGED = (
    f"{_COLUMNS} FROM parts p JOIN contents c ON c.sha256 = p.sha256"
    " JOIN compared k ON k.sha256 = c.sha256 WHERE p.row IN"
)
_ALL = f"{_COLUMNS} FROM contents c JOIN compared k ON k.sha256 = c.sha256"
_UNREAD = "SELECT sha256 FROM compared WHERE unread > 0"


def outdated(catalog: Catalog, covered: int | None, *, meshes: bool) -> set[str]:
    """Return compared contents that are gone, or rest on something that has changed.

    Args:
        catalog: Where they are.
        covered: Changes up to this one need not be looked at; all contents are where None.
        meshes: Whether those count whose meshes no run has wanted to read.
    """
    database = catalog.database
    found = {sha256 for (sha256,) in database.fetch(_GONE)}
    if covered is None:
        records = database.fetch(_ALL)
    else:
        rows = [int(change.key) for change in catalog.changes_since(covered, PART)]
        records = database.fetch_in(_CHANGED, rows)
    found |= {sha256 for sha256, *read_by, before in records if basis(*read_by) != before}
    if meshes:
        found |= {sha256 for (sha256,) in database.fetch(_UNREAD)}
    return found


def pending(catalog: Catalog) -> list[str]:
    """Return the contents that are to be compared, in no order that means anything."""
    return [sha256 for (sha256,) in catalog.database.fetch(_NEW)]


def forget_outdated(catalog: Catalog, links: Links, covered: int | None, *, meshes: bool) -> None:
    """Forget what is outdated, so that it is compared again if it is still there."""
    found = outdated(catalog, covered, meshes=meshes)
    if found:
        with catalog.database.write() as connection:
            links.forget(connection, found)
