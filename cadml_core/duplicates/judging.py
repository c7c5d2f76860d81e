"""Comparing one content with the candidates for it, each with what proves or refutes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
from cachetools import LRUCache

from cadml_core.catalog.records import Content
from cadml_core.documents.document import TriangleMesh
from cadml_core.duplicates.blocks import ANY_SIZE_BUT_SCALED, ANYTHING, NOTHING, Blocks, Entry, Role
from cadml_core.intake.intake import Intake
from cadml_core.relations.blocking import EXACT, difference
from cadml_core.relations.relate import relate
from cadml_core.relations.relation import Relation, Subject
from cadml_core.relations.verify import needs_meshes, verify
from cadml_core.search.comparison import comparable_content, mesh_of, subject_of

_SUBJECTS, _MESHES = 512, 8
"""So many are kept in memory, the last that were used."""
_MOST_READ = 6
"""Pairs of meshes that are read for one content, the nearest first."""
T = TypeVar("T")


class Judged(msgspec.Struct):
    """What came of comparing one content."""

    links: dict[tuple[str, str], Relation]
    role: Role = ANYTHING
    pairs: int = 0
    unread: int = 0
    """Pairs that only meshes could decide, but none were to be read."""


class Judge:
    """Compares contents of one catalogue.

    Args:
        intake: Where contents are, and what reads their files again.
        blocks: The contents that were compared before.
        meshes: Whether to read meshes where only they can decide.
    """

    def __init__(self, intake: Intake, blocks: Blocks, *, meshes: bool) -> None:
        self._intake, self._blocks, self._wanted = intake, blocks, meshes
        self._contents: _Recent[Content | None] = _Recent(_SUBJECTS, self._load)
        self._subjects: _Recent[Subject] = _Recent(_SUBJECTS, self._subject)
        self._meshes: _Recent[TriangleMesh | str] = _Recent(_MESHES, self._mesh)

    def judge(self, sha256: str, entry: Entry) -> Judged:
        """Compare a content with those that were compared before, until one is proved to be the same."""
        found, outcome = self._blocks.candidates(entry), Judged({})
        read = 0
        for other in found.same:
            relation = self._relate(outcome, other, sha256)
            if relation is not None and needs_meshes(relation):
                if self._wanted and read < _MOST_READ:
                    read += 1
                    relation = self._by_meshes(outcome, other, sha256, relation)
                elif not self._wanted:
                    outcome.unread += 1
            if relation is not None and self._stands_for(other, sha256, relation):
                outcome.role = NOTHING
                return outcome
        for other in found.scaled:
            relation = self._relate(outcome, other, sha256)
            if relation is not None and relation.kind == "scaled":
                outcome.role = ANY_SIZE_BUT_SCALED
                break
        for other in found.inside:
            self._relate(outcome, sha256, other)
        for other in found.bodies:
            self._relate(outcome, other, sha256)
        return outcome

    def _relate(self, outcome: Judged, a: str, b: str) -> Relation | None:
        """Compare two contents and keep what they are, if anything; None where one is gone."""
        if a == b or (a, b) in outcome.links or (b, a) in outcome.links:
            return None
        if self._contents[a] is None or self._contents[b] is None:
            return None
        outcome.pairs += 1
        relation = relate(self._subjects[a], self._subjects[b])
        if worth_keeping(relation):
            outcome.links[a, b] = relation
        return relation

    def _by_meshes(self, outcome: Judged, a: str, b: str, before: Relation) -> Relation:
        """Decide by meshes; a pair that they refute is not kept."""
        first, second = self._meshes[a], self._meshes[b]
        if isinstance(first, str) or isinstance(second, str):
            why = first if isinstance(first, str) else second
            relation = msgspec.structs.replace(before, reason=f"{before.reason}; {why}")
        else:
            relation = verify(before, self._subjects[a], self._subjects[b], first, second)
        outcome.links.pop((a, b), None)
        if worth_keeping(relation):
            outcome.links[a, b] = relation
        return relation

    def _stands_for(self, other: str, sha256: str, relation: Relation) -> bool:
        """Tell whether later contents need to be compared with the other one only."""
        first, second = (self._subjects[name].document.invariants for name in (other, sha256))
        if first is None or second is None or (second.exact and not first.exact):
            return False  # surfaces decide more than facets
        if relation.kind == "same":
            return True
        # One mesh in two files: nobody has read them, but there may be thousands.
        doubtful = relation.kind == "same_within_mesh_error" and relation.evidence == "invariants"
        return doubtful and not relation.mirrored and difference(first.whole, second.whole) <= EXACT

    def _load(self, sha256: str) -> Content | None:
        return self._intake.catalog.contents([sha256]).get(sha256)

    def _subject(self, sha256: str) -> Subject:
        content = self._contents[sha256]
        assert content is not None
        return subject_of(self._intake.catalog, content)

    def _mesh(self, sha256: str) -> TriangleMesh | str:
        content = self._contents[sha256]
        assert content is not None
        paths = [part.path for part in self._intake.catalog.parts_by_sha256(sha256, limit=8)]
        return mesh_of(self._intake, comparable_content(sha256[:12], self._subjects[sha256], content, paths))


def worth_keeping(relation: Relation) -> bool:
    """Tell whether a relation is proved, or may be one that would be."""
    return relation.certified or relation.kind == "same_within_mesh_error" or relation.candidate is not None


class _Recent(LRUCache[str, T]):
    """Keeps the last values that were asked for; makes those it has not."""

    def __init__(self, most: int, make: Callable[[str], T]) -> None:
        super().__init__(most)
        self._make = make

    def __missing__(self, key: str) -> T:
        value = self[key] = self._make(key)
        return value
