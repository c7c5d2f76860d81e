"""Which parts a report of duplicates is about, and which of its groups count."""

from __future__ import annotations

from typing import Any

import msgspec

from cadml_core.catalog.records import Part
from cadml_core.catalog.store import Catalog
from cadml_core.relations.relation import Kind


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for; the whole catalogue and every kind where nothing is given."""

    folder: str | None = None
    """Only parts below this folder, as ``path_to_text`` writes it."""
    project: str | None = None
    formats: tuple[str, ...] = ()
    """Only parts of these formats; of two or more, groups in which at least two of them occur."""
    kinds: tuple[Kind, ...] = ()
    """Only these kinds of groups."""
    mirror: bool = True
    """Whether mirror images count."""
    scale: bool = True
    """Whether copies of another size count."""
    same_material: bool = False
    """Whether the parts of a group must agree in their material; unknown is a material of its own."""
    across_projects: bool = False
    """Whether groups within one project are left out."""
    prefer: str | None = None
    """A folder whose parts lead where they can."""
    decided: bool = False
    """Whether groups of which everything was decided are shown as well."""

    def sql(self) -> tuple[str, tuple[Any, ...]]:
        """Return the condition on parts as SQL over ``p`` (parts) and ``c`` (contents), and its values."""
        clauses, values = ["p.sha256 IS NOT NULL"], list[Any]()
        if self.folder is not None:
            beginning = self.folder.rstrip("/\\") + ("\\" if "\\" in self.folder else "/")
            clauses.append("substr(p.path, 1, ?) = ?")
            values += [len(beginning), beginning]
        if self.project is not None:
            clauses.append("p.project = ?")
            values.append(self.project)
        if self.formats:
            clauses.append(f"c.format IN ({','.join('?' * len(self.formats))})")
            values += self.formats
        return " AND ".join(clauses), tuple(values)

    def wants(self, kind: Kind) -> bool:
        """Tell whether groups of a kind count."""
        if self.kinds and kind not in self.kinds:
            return False
        return (self.mirror or kind != "mirrored") and (self.scale or kind != "scaled")


class Members:
    """Finds the parts of contents within a scope."""

    def __init__(self, catalog: Catalog, scope: Scope) -> None:
        self._catalog = catalog
        self._condition, self._values = scope.sql()

    def counts(self) -> dict[str, int]:
        """Return how many parts each content has, of those that have any."""
        found = self._catalog.database.fetch(
            "SELECT p.sha256, count(*) FROM parts p JOIN contents c ON c.sha256 = p.sha256"
            f" WHERE {self._condition} GROUP BY p.sha256",
            self._values,
        )
        return dict(found)

    def parts(self, sha256: str, *, after: int = 0, limit: int) -> list[Part]:
        """Return parts of a content, oldest first, beyond a row number."""
        return self._catalog.parts_where(
            f"p.sha256 = ? AND p.row > ? AND {self._condition}",
            (sha256, after, *self._values),
            limit=limit,
        )

    def named(self, part_id: str, sha256: str) -> list[Part]:
        """Return the part of this id and content, if there is one within the scope."""
        condition = f"p.id = ? AND p.sha256 = ? AND {self._condition}"
        return self._catalog.parts_where(condition, (part_id, sha256, *self._values), limit=1)
