"""The groups of a catalogue as they are read: parts by name, what proves each pair, who leads."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from cadml_core.catalog.records import Part
from cadml_core.catalog.store import Catalog
from cadml_core.duplicates.decisions import Decision, Decisions, Lead, Pair
from cadml_core.duplicates.edges import Edge, Told, edges_of
from cadml_core.duplicates.groups import Group, group
from cadml_core.duplicates.journal import Run
from cadml_core.duplicates.leading import lead_of
from cadml_core.duplicates.links import Links
from cadml_core.duplicates.scope import Members, Scope
from cadml_core.relations.relation import Kind

LISTED = 1_000
"""So many parts of a group are listed, and so many of each of its contents; the rest are counted."""


class ReportedPart(msgspec.Struct, frozen=True):
    """A part of a group."""

    id: str
    path: str | None
    name: str
    format: str | None
    material: str | None
    project: str | None
    label: str | None
    sha256: str


class ReportedGroup(msgspec.Struct, frozen=True):
    """Parts that are one thing to another."""

    id: str
    kind: Kind
    lead: str
    """Id of the part that is proposed to be kept; of ``multiple`` and ``contains`` that of the body."""
    size: int
    """Parts in all, also those beyond the list."""
    decided: bool
    """Whether what people decided of its pairs covers all of it."""
    parts: list[ReportedPart]
    edges: list[Edge]


class Report(msgspec.Struct, frozen=True):
    """What was found within a scope."""

    run: Run | None
    """The last run; None where there was none."""
    scope: Scope
    parts: int
    """Within the scope, with a file."""
    waiting: int
    """Contents of the catalogue that no run has compared yet."""
    counts: dict[Kind, int]
    """Groups of each kind, also those that are not listed."""
    groups: list[ReportedGroup]


class Known(NamedTuple):
    """What groups are told with."""

    members: Members
    counts: dict[str, int]
    """Parts of each content within the scope."""
    exact: set[str]
    decisions: dict[Pair, Decision]
    leads: dict[str, Lead]
    scope: Scope


class Reporter:
    """Reads what runs have found within a scope, as it is at one moment."""

    def __init__(self, catalog: Catalog, scope: Scope) -> None:
        links, members = Links(catalog), Members(catalog, scope)
        decisions = Decisions(catalog)
        counts = members.counts()
        self.known = Known(members, counts, links.exact(), decisions.all(), decisions.leads(), scope)
        copied = sorted(sha256 for sha256, count in counts.items() if count > 1)
        self._groups = group(links.all(), self.known.decisions, copied)

    @property
    def parts(self) -> int:
        """How many parts with a file are within the scope."""
        return sum(self.known.counts.values())

    def groups(self) -> Iterator[ReportedGroup]:
        """Yield the groups within the scope, the surest kinds first and large ones before small ones."""
        for one in self._groups:
            if self.known.scope.wants(one.kind) and self._counts(one):
                for found in told(one, self.known):
                    if self.known.scope.decided or not found.decided:
                        yield found

    def contents_of(self, group: str) -> tuple[str, ...]:
        """Return the contents of a group by its id, also of a part of one; empty where there is none."""
        wanted = group.partition("-")[0]
        return next((one.contents for one in self._groups if one.id == wanted), ())

    def rest(self, told_: ReportedGroup) -> Iterator[Part]:
        """Yield the parts of a group beyond those that are listed."""
        listed = {part.id for part in told_.parts}
        if told_.size <= len(listed):
            return
        for sha256 in self.contents_of(told_.id):
            after = 0
            while found := self.known.members.parts(sha256, after=after, limit=LISTED):
                yield from (part for part in found if part.id not in listed)
                after = found[-1].row

    def _counts(self, one: Group) -> bool:
        """Tell whether enough of a group is within the scope."""
        here = self.known.counts
        inside = [sum(here.get(sha256, 0) for sha256 in members) for members in one.classes]
        if one.kind in ("identical", "same"):
            return inside[0] > 1
        return inside[0] > 0 and sum(map(bool, inside)) > 1


def report(
    catalog: Catalog, scope: Scope, run: Run | None, *, waiting: int, after: int = 0, limit: int | None = None
) -> Report:
    """Return the groups of a scope.

    Args:
        catalog: Where they are.
        scope: Which are meant.
        run: The last run.
        waiting: Contents that no run has compared yet.
        after: So many groups are passed over.
        limit: Most groups listed; all where None.
    """
    reporter = Reporter(catalog, scope)
    counts: Counter[Kind] = Counter()
    listed: list[ReportedGroup] = []
    for number, one in enumerate(reporter.groups()):
        counts[one.kind] += 1
        if number >= after and (limit is None or len(listed) < limit):
            listed.append(one)
    return Report(run, scope, reporter.parts, waiting, dict(counts), listed)


def told(one: Group, known: Known) -> Iterator[ReportedGroup]:
    """Yield a group as it is reported: as several where the parts must agree in their material."""
    parts = itertools.islice((part for sha256 in one.contents for part in _listed(sha256, known)), 2 * LISTED)
    by_material: dict[str | None, list[Part]] = {}
    for part in parts:
        by_material.setdefault(part.material if known.scope.same_material else None, []).append(part)
    several = len(by_material) > 1
    for number, listed in enumerate(by_material.values(), 1):
        if not _belong(one, listed, known.scope):
            continue
        size = len(listed) if several else sum(known.counts.get(sha256, 0) for sha256 in one.contents)
        yield _reported(one, f"{one.id}-{number}" if several else one.id, listed, size, known)


def _listed(sha256: str, known: Known) -> list[Part]:
    count = known.counts.get(sha256, 0)
    if not count:
        return []
    found = known.members.parts(sha256, limit=LISTED)
    lead = known.leads.get(sha256)
    if count > LISTED and lead is not None and all(part.id != lead.part for part in found):
        found += known.members.named(lead.part, sha256)
    return found


def _belong(one: Group, parts: list[Part], scope: Scope) -> bool:
    if len(parts) < 2:
        return False
    if scope.across_projects and len({part.project for part in parts}) < 2:
        return False
    if len(scope.formats) > 1 and len({part.format for part in parts}) < 2:
        return False
    if one.kind in ("identical", "same"):
        return True
    there = {part.sha256 for part in parts}
    inside = [bool(there & set(members)) for members in one.classes]
    return inside[0] and sum(inside) > 1


def _reported(one: Group, name: str, parts: list[Part], size: int, known: Known) -> ReportedGroup:
    middle = [part for part in parts if part.sha256 in one.classes[0]]
    whole = one.kind in ("multiple", "contains")
    lead = lead_of(middle if whole else parts, known.exact, known.leads, prefer=known.scope.prefer)
    own = next(members for members in one.classes if lead.sha256 in members)
    # What a group is about comes before further copies of its lead.
    others = sorted(
        (part for part in parts if part.id != lead.id),
        key=lambda part: one.kind not in ("identical", "same") and part.sha256 in own,
    )
    ordered = [lead, *others][:LISTED]
    first: dict[str | None, Part] = {}
    for part in ordered:
        first.setdefault(part.sha256, part)
    edges = edges_of(one, ordered, Told(lead.id, first, known.decisions))
    decided = size <= len(ordered) and _decided(one, ordered, edges)
    listed = [msgspec.convert(part, ReportedPart, from_attributes=True) for part in ordered]
    return ReportedGroup(name, one.kind, lead.id, size, decided, listed, edges)


def _decided(one: Group, parts: Sequence[Part], edges: Sequence[Edge]) -> bool:
    """Tell whether pairs that were decided to be duplicates lead from every part to every other."""
    if one.kind == "identical":
        return all(edge.decision is not None for edge in edges)
    place = {sha256: number for number, members in enumerate(one.classes) for sha256 in members}
    nodes = {part.id: part.sha256 if one.kind == "same" else place[part.sha256 or ""] for part in parts}
    joined: dict[object, object] = {node: node for node in nodes.values()}
    for edge in edges:
        if edge.decision == "duplicate":
            old, new = joined[nodes[edge.a]], joined[nodes[edge.b]]
            joined = {node: new if root == old else root for node, root in joined.items()}
    return len(set(joined.values())) == 1
