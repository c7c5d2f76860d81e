"""A catalogue with what searches it for duplicates and what tells of them."""

from __future__ import annotations

from cadml_core.catalog.records import NewPart, Part
from cadml_core.catalog.store import Catalog
from cadml_core.duplicates.decisions import Decisions
from cadml_core.duplicates.finder import DuplicateFinder
from cadml_core.duplicates.report import ReportedGroup, Reporter
from cadml_core.duplicates.scope import Scope
from tests.services import intake_over

Edges = set[tuple[frozenset[str], str]]


class Cleaning:
    """What a data team does with a catalogue."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.finder = DuplicateFinder(intake_over(catalog, {}))
        self.decisions = Decisions(catalog)

    def add(self, *parts: NewPart) -> None:
        """Add parts."""
        self.catalog.add(parts)

    def part(self, name: str) -> Part:
        """Return a part."""
        return self.catalog.part(name)

    def run(self) -> int:
        """Run; returns how many contents were compared."""
        return self.finder.run(meshes=False).done

    def groups(self, scope: Scope | None = None) -> list[ReportedGroup]:
        """Return the groups of a scope."""
        return list(Reporter(self.catalog, scope or Scope()).groups())

    def members(self, scope: Scope | None = None) -> list[set[str]]:
        """Return the ids of the parts of each group."""
        return [{part.id for part in one.parts} for one in self.groups(scope)]

    def edges(self) -> Edges:
        """Return every certified pair of the kind of its group."""
        return {
            (frozenset((edge.a, edge.b)), edge.kind)
            for one in self.groups()
            for edge in one.edges
            if edge.kind == one.kind and edge.certified
        }
