"""The edges of a group between its parts: what was proved of which pair, and what follows from it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from cadml_core.catalog.records import Part
from cadml_core.duplicates.decisions import Decision, Pair, Verdict, pair_of
from cadml_core.duplicates.groups import Group, kind_of
from cadml_core.duplicates.links import Link
from cadml_core.relations.relation import Evidence, Kind, Relation
from cadml_core.relations.words import describe

_SPELLED_OUT = 24
"""A group of so many contents names every pair of them, also those that only follow from others."""
_WEAKEST: tuple[Evidence, ...] = ("bytes", "features", "features_relaxed", "mesh", "invariants", "none")


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """What one part of a group is to another."""

    a: str
    """Id of a part."""
    b: str
    kind: Kind
    evidence: Evidence
    tolerance: float | None
    """In mm: the parts agree within it; None where nothing was compared in place."""
    deviation: float | None
    """In mm: the largest that was found."""
    scale: float | None = None
    count: int | None = None
    certified: bool
    via: str | None = None
    """Where no pair was compared: id of the part, or sha256 of the content, that both were compared with."""
    words: str
    """What b is to a."""
    decision: Verdict | None = None


def edges_of(
    one: Group, parts: Sequence[Part], first: Mapping[str | None, Part], decisions: Mapping[Pair, Decision]
) -> list[Edge]:
    """Return the edges of a group.

    Args:
        one: The group.
        parts: Those of its parts that are listed.
        first: Of each content that is listed, the part that stands for it.
        decisions: By pair of contents.
    """
    found = list(_copies(parts, first, decisions))
    found += [edge for link in one.links if (edge := _proved(link, first, decisions)) is not None]
    if len(one.contents) <= _SPELLED_OUT:
        found += (_following if one.kind == "same" else _across)(one, first, decisions)
    return found


def _copies(
    parts: Sequence[Part], first: Mapping[str | None, Part], decisions: Mapping[Pair, Decision]
) -> Iterator[Edge]:
    """Yield an edge from the first part of each content to every other."""
    same = Relation("identical", "bytes", tolerance_mm=0.0, deviation_mm=0.0)
    for part in parts:
        assert part.sha256 is not None
        if first[part.sha256].id != part.id:
            decision = decisions.get((part.sha256, part.sha256))
            yield _edge(first[part.sha256].id, part.id, same, decision)


def _proved(link: Link, first: Mapping[str | None, Part], decisions: Mapping[Pair, Decision]) -> Edge | None:
    a, b = first.get(link.a), first.get(link.b)
    if a is None or b is None:
        return None
    return _edge(a.id, b.id, link.relation, decisions.get(pair_of(link.a, link.b)))


def _edge(a: str, b: str, relation: Relation, decision: Decision | None) -> Edge:
    return Edge(
        a=a,
        b=b,
        kind=relation.kind if relation.kind == "part_of" else kind_of(relation),
        evidence=relation.evidence,
        tolerance=relation.tolerance_mm,
        deviation=relation.deviation_mm,
        scale=relation.scale,
        count=relation.count,
        certified=relation.certified,
        words=describe(relation),
        decision=None if decision is None else decision.verdict,
    )


def _following(
    one: Group, first: Mapping[str | None, Part], decisions: Mapping[Pair, Decision]
) -> Iterator[Edge]:
    """Yield an edge for each pair of which both are proved against the middle only: their tolerances add."""
    direct = {pair_of(link.a, link.b): link.relation for link in one.links}
    others = [sha256 for sha256 in one.contents if sha256 != one.middle and sha256 in first]
    middle = first[one.middle].id if one.middle in first else one.middle
    for a, b in itertools.combinations(others, 2):
        if pair_of(a, b) in direct:
            continue
        halves = [direct[pair_of(one.middle, sha256)] for sha256 in (a, b)]
        decision = decisions.get(pair_of(a, b))
        yield Edge(
            a=first[a].id,
            b=first[b].id,
            kind="same",
            evidence=max((half.evidence for half in halves), key=_WEAKEST.index),
            tolerance=sum(half.tolerance_mm or 0.0 for half in halves),
            deviation=None,
            certified=True,
            via=middle,
            words="same part: both are the same as a third",
            decision=None if decision is None else decision.verdict,
        )


def _across(
    one: Group, first: Mapping[str | None, Part], decisions: Mapping[Pair, Decision]
) -> Iterator[Edge]:
    """Yield an edge for each copy of the middle and each copy of what that was compared with.

    What is the same as a part is to others what the part is, within its own tolerance besides.
    """
    own = {sha256: members for members in one.classes for sha256 in members}
    within = max((_tolerance(link.relation) for link in one.links if _same(link, own)), default=0.0)
    copies = [link.relation.evidence for link in one.links if _same(link, own)]
    for link in one.links:
        if _same(link, own):
            continue
        pairs = itertools.product(own.get(link.a, ()), own.get(link.b, ()))
        for a, b in pairs:
            if (a, b) == (link.a, link.b) or not {a, b} <= first.keys():
                continue
            changed = (a != link.a) + (b != link.b)
            passed = link.a if a != link.a else link.b
            edge = _edge(first[a].id, first[b].id, link.relation, decisions.get(pair_of(a, b)))
            yield msgspec.structs.replace(
                edge,
                evidence=max((link.relation.evidence, *copies), key=_WEAKEST.index),
                tolerance=None if edge.tolerance is None else edge.tolerance + 2 * changed * within,
                deviation=None,
                via=first[passed].id if passed in first else passed,
            )


def _same(link: Link, own: Mapping[str, Sequence[str]]) -> bool:
    return own.get(link.a) is own.get(link.b)


def _tolerance(relation: Relation) -> float:
    return relation.tolerance_mm or 0.0
