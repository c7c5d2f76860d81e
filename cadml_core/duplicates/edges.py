"""The edges of a group between its parts: what was proved of which pair, and what follows from it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from cadml_core.catalog.records import Part
from cadml_core.duplicates.composing import inverse, through
from cadml_core.duplicates.decisions import Decision, Pair, Verdict, pair_of
from cadml_core.duplicates.groups import Group, kind_of
from cadml_core.relations.relation import Evidence, Kind, Relation
from cadml_core.relations.words import describe

_SPELLED_OUT = 24
"""A group of so many contents names every pair of them, also those that only follow from others."""


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
    reason: str | None = None
    """Why nothing is proved."""
    decision: Verdict | None = None


class Told(NamedTuple):
    """What edges are told with."""

    lead: str
    """Id of the part that others are seen from."""
    first: Mapping[str | None, Part]
    """Of each content that is listed, the part that stands for it."""
    decisions: Mapping[Pair, Decision]


def edges_of(one: Group, parts: Sequence[Part], told: Told) -> list[Edge]:
    """Return the edges of a group between those of its parts that are listed."""
    found = list(_copies(parts, told))
    found += [edge for link in one.links if (edge := _edge(link.a, link.b, link.relation, told)) is not None]
    if len(one.contents) <= _SPELLED_OUT:
        found += _following(one, told)
    return found


def _copies(parts: Sequence[Part], told: Told) -> Iterator[Edge]:
    """Yield an edge from the first part of each content to every other."""
    same = Relation("identical", "bytes", tolerance_mm=0.0, deviation_mm=0.0)
    for part in parts:
        assert part.sha256 is not None
        first = told.first[part.sha256]
        if first.id != part.id:
            yield _between(first.id, part.id, same, told.decisions.get((part.sha256, part.sha256)))


def _edge(a: str, b: str, relation: Relation, told: Told, via: str | None = None) -> Edge | None:
    """Return an edge between two contents, seen from the lead; None where one of them is not listed."""
    if a not in told.first or b not in told.first:
        return None
    first, second = told.first[a].id, told.first[b].id
    if second == told.lead and (turned := inverse(relation)) is not None:
        first, second, relation = second, first, turned
    named = told.first[via].id if via in told.first else via
    return _between(first, second, relation, told.decisions.get(pair_of(a, b)), named)


def _between(a: str, b: str, relation: Relation, decision: Decision | None, via: str | None = None) -> Edge:
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
        via=via,
        words=describe(relation),
        reason=None if relation.certified else relation.reason,
        decision=None if decision is None else decision.verdict,
    )


def _following(one: Group, told: Told) -> Iterator[Edge]:
    """Yield an edge for each pair of the group that was not compared: what is the same as a part is to others
    what the part is, within both tolerances."""
    own = {sha256: place for place, members in enumerate(one.classes) for sha256 in members}
    known = {(link.a, link.b): link.relation for link in one.links}
    known |= {(b, a): turned for (a, b), found in known.items() if (turned := inverse(found)) is not None}
    same = {pair: found for pair, found in known.items() if own.get(pair[0]) == own.get(pair[1])}
    for a, b in list(itertools.combinations([sha256 for sha256 in one.contents if sha256 in told.first], 2)):
        if (a, b) in known or (b, a) in known:
            continue
        for start, end in ((a, b), (b, a)):
            if (found := _path(start, end, one, known, same)) is not None:
                relation, via = found
                edge = _edge(start, end, relation, told, via)
                if edge is not None:
                    yield edge
                break


def _path(
    a: str,
    b: str,
    one: Group,
    known: Mapping[Pair, Relation],
    same: Mapping[Pair, Relation],
) -> tuple[Relation, str] | None:
    """Return what the second content is to the first by way of others that are the same as one of them."""
    for middle in one.contents:
        if (a, middle) in same and (middle, b) in known:
            return through(same[a, middle], known[middle, b]), middle
        if (a, middle) in known and (middle, b) in same and (found := inverse(known[a, middle])) is not None:
            turned = through(same[b, middle], found)
            back = inverse(turned)
            return None if back is None else (back, middle)
    return None
