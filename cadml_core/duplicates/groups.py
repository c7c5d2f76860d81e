"""Groups of contents: in each, one stands in the middle and every other is proved against it. No chains."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from cadml_core.duplicates.decisions import Decision, Pair, different, pair_of
from cadml_core.duplicates.links import Link
from cadml_core.relations.relation import Kind, Relation

KINDS: tuple[Kind, ...] = (
    "identical",
    "same",
    "mirrored",
    "scaled",
    "multiple",
    "contains",
    "same_within_mesh_error",
    "similar",
)
"""The kinds of groups, the surest first. ``similar`` ones have nothing but a decision."""
_SPELLED_OUT = 50
"""Copies of a content that a group of another kind lists; it names one of more."""


class Group(msgspec.Struct, frozen=True):
    """Contents that are one thing to another."""

    id: str
    kind: Kind
    classes: tuple[tuple[str, ...], ...]
    """sha256 of its contents; those that are the same stand together, those in the middle come first."""
    links: tuple[Link, ...]

    @property
    def middle(self) -> str:
        """The content that all others are linked with; of ``multiple`` and ``contains`` the body itself."""
        return self.classes[0][0]

    @property
    def contents(self) -> tuple[str, ...]:
        """Every content, that in the middle first."""
        return tuple(sha256 for one in self.classes for sha256 in one)


def group(
    links: Sequence[Link], decisions: Mapping[Pair, Decision], copied: Iterable[str] = ()
) -> list[Group]:
    """Put contents into groups: by proof, but for pairs that somebody decided to be different.

    Args:
        links: What contents are to one another.
        decisions: By pair of contents.
        copied: Contents that several parts have, in the order of their groups.

    Returns:
        Groups, the surest kinds first and large ones before small ones. A content is in one group of a
        kind, but where that would put two into it that were decided to be different.
    """
    apart = different(decisions)
    open_links = [link for link in links if pair_of(link.a, link.b) not in apart]
    by_kind: dict[Kind, list[Link]] = defaultdict(list)
    for link in open_links:
        by_kind[kind_of(link.relation)].append(link)
    by_kind["similar"] = _only_decided(links, decisions)
    same = _stars("same", by_kind.pop("same", []), apart)
    found = [
        Group(_name("identical", one), "identical", ((one,),), ())
        for one in copied
        if (one, one) not in apart
    ]
    in_same = {sha256 for star in same for sha256 in star.contents}
    found = [one for one in found if one.middle not in in_same] + same
    classes = {sha256: star for star in reversed(same) for sha256 in star.contents}
    for kind in KINDS[2:]:
        found += _of_classes(kind, by_kind.get(kind, []), classes, apart)
    return sorted(_named_once(found), key=lambda one: (KINDS.index(one.kind), -len(one.contents), one.id))


def _named_once(groups: Iterable[Group]) -> Iterable[Group]:
    """Give groups that share their first content, and so their id, ids of their own."""
    seen: set[str] = set()
    for one in groups:
        taken = one.id in seen
        named = _digest(" ".join((one.kind, *sorted(one.contents)))) if taken else one.id
        seen.add(named)
        yield msgspec.structs.replace(one, id=named) if taken else one


def kind_of(relation: Relation) -> Kind:
    """Return in which kind of groups a relation belongs; ``part_of`` is ``contains`` the other way round."""
    if relation.kind == "part_of":
        return "contains"
    if relation.certified:
        return relation.kind
    undecided = relation.candidate is not None or relation.kind == "same_within_mesh_error"
    return "same_within_mesh_error" if undecided else "similar"


def _only_decided(links: Sequence[Link], decisions: Mapping[Pair, Decision]) -> list[Link]:
    known = {pair_of(link.a, link.b) for link in links}
    return [
        Link(a, b, Relation("similar", "none", reason="somebody decided so"))
        for (a, b), decision in decisions.items()
        if decision.verdict == "duplicate" and a != b and (a, b) not in known
    ]


def _stars(kind: Kind, links: Sequence[Link], apart: set[Pair]) -> list[Group]:
    """Cover links by stars: those with the most partners take them first, equal ones by their hash."""
    partners: dict[str, dict[str, Link]] = defaultdict(dict)
    for link in links:
        partners[link.a][link.b] = partners[link.b][link.a] = link
    taken: set[str] = set()
    found: list[Group] = []
    left: dict[str, list[str]] = defaultdict(list)
    for middle in sorted(partners, key=lambda one: (-len(partners[one]), one)):
        if middle in taken:
            continue
        free = [other for other in sorted(partners[middle]) if other not in taken]
        found += [_star(kind, middle, bag, partners) for bag in _bags(free, apart)]
        taken |= {middle, *free}
        if not free:  # its partners are in other groups, but what was proved is not to be lost
            left[min(partners[middle], key=lambda one: (-len(partners[one]), one))].append(middle)
    for middle, others in left.items():
        found += [_star(kind, middle, bag, partners) for bag in _bags(sorted(others), apart)]
    return found


def _bags(contents: Sequence[str], apart: set[Pair]) -> list[list[str]]:
    """Split contents so that no two of a bag were decided to be different."""
    concerned = {sha256 for pair in apart for sha256 in pair}
    bags: list[list[str]] = []
    first: list[str] = []
    for sha256 in contents:
        if sha256 not in concerned:
            first.append(sha256)
            continue
        for bag in bags:
            if not any(pair_of(sha256, other) in apart for other in bag):
                bag.append(sha256)
                break
        else:
            bags.append([sha256])
    if not bags:
        return [first] if first else []
    bags[0] += first
    return bags


def _star(
    kind: Kind, middle: str, others: Sequence[str], partners: Mapping[str, Mapping[str, Link]]
) -> Group:
    members = sorted(others)
    inside = {middle, *members}
    found = [partners[middle][other] for other in members]
    # Beyond those of the star, whatever else was proved within it.
    found += [
        link
        for one in members
        for other, link in partners[one].items()
        if other in inside and other != middle and link.a == one
    ]
    classes = ((middle, *members),) if kind == "same" else ((middle,), *((one,) for one in members))
    return Group(_name(kind, *inside), kind, classes, tuple(found))


def _of_classes(
    kind: Kind, links: Sequence[Link], classes: Mapping[str, Group], apart: set[Pair]
) -> list[Group]:
    """Make groups of another kind, in which what is the same counts as one content."""
    if not links:
        return []
    if kind in ("multiple", "contains"):
        return _around_bodies(kind, links, classes)
    return [_with_copies(star, classes) for star in _stars(kind, _between(links, classes), apart)]


def _between(links: Iterable[Link], classes: Mapping[str, Group]) -> list[Link]:
    """Return one link for each two classes, and none within one; the links keep their own contents."""
    seen: set[Pair] = set()
    found = []
    for link in links:
        pair = pair_of(_class(link.a, classes), _class(link.b, classes))
        if pair[0] != pair[1] and pair not in seen:
            seen.add(pair)
            found.append(link)
    return found


def _around_bodies(kind: Kind, links: Iterable[Link], classes: Mapping[str, Group]) -> list[Group]:
    """Put everything that holds a body into one group with it."""
    held: dict[str, dict[str, Link]] = defaultdict(dict)
    for link in links:
        body, whole = _body_and_whole(link)
        held[_class(body, classes)].setdefault(_class(whole, classes), link)
    found = []
    for _, wholes in sorted(held.items()):
        chosen = [wholes[whole] for whole in sorted(wholes)]
        middle = tuple(dict.fromkeys(_body_and_whole(link)[0] for link in chosen))
        around = tuple((_body_and_whole(link)[1],) for link in chosen)
        star = Group(_name(kind, *middle), kind, (middle, *around), tuple(chosen))
        found.append(_with_copies(star, classes))
    return found


def _body_and_whole(link: Link) -> tuple[str, str]:
    return (link.b, link.a) if link.relation.kind == "part_of" else (link.a, link.b)


def _class(sha256: str, classes: Mapping[str, Group]) -> str:
    return classes[sha256].middle if sha256 in classes else sha256


def _with_copies(star: Group, classes: Mapping[str, Group]) -> Group:
    """Add what is the same as a member, and the proof of it."""
    wider: list[tuple[str, ...]] = []
    links = list(star.links)
    for members in star.classes:
        copies = classes.get(members[0])
        if copies is None:
            wider.append(members)
            continue
        wanted = dict.fromkeys((*members, *copies.contents[:_SPELLED_OUT]))
        wider.append(tuple(wanted))
        links += [link for link in copies.links if link.a in wanted and link.b in wanted]
    return msgspec.structs.replace(star, classes=tuple(wider), links=tuple(links))


def _name(kind: Kind, *contents: str) -> str:
    """Return an id that stays while the first of the contents, by hash, does."""
    return _digest(f"{kind} {min(contents)}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
