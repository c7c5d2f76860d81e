"""The combined search: what is the same by proof first, then what is alike, each with what it is in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from cadml_core.catalog.counts import count_vectors
from cadml_core.catalog.records import Content, Part, PartFilter
from cadml_core.catalog.store import Catalog
from cadml_core.contracts.features import PlacedVersion
from cadml_core.documents.arrays import FloatVector
from cadml_core.errors import InvalidInput
from cadml_core.relations.relate import relate
from cadml_core.relations.relation import Relation, Subject
from cadml_core.search.absence import no_such_vector, why_nothing
from cadml_core.search.comparison import subject_of
from cadml_core.search.filters import Admission
from cadml_core.search.identity import IdentitySpace
from cadml_core.search.placed import Places
from cadml_core.search.questions import Question
from cadml_core.search.ranking import Ranking
from cadml_core.search.related import CombinedResult, RelatedHit, explained, place, related_hit
from cadml_core.search.similarity import SimilaritySearch, check_bounds
from cadml_core.search.subjects import Subjects
from cadml_core.search.wanted import EVERYTHING, Wanted, named

COMBINED = "combined"
"""Stands for this search where a feature version can be named."""
_RELATED = 20
"""So many of the first hits are related to the query, besides every candidate by invariants."""
_COMPARED = 50
"""The same where only some relations are wanted."""
_FAR = float("inf")


class Query(NamedTuple):
    """The part that is asked about."""

    subject: Subject | None
    """None for a part that was registered without a file."""
    vectors: Mapping[str, FloatVector]
    """Raw values by feature version."""
    row: int | None = None
    """Of a stored part, that is not to be found itself."""


class CombinedSearch:
    """Searches with relations over a catalogue. Safe to use from many threads.

    Args:
        searches: The searches that can rank, by feature version: the one that is preferred where the
            catalogue has its vectors, and last the one over the configured version.
    """

    def __init__(self, searches: Sequence[SimilaritySearch]) -> None:
        self._searches = {search.feature.name: search for search in searches}
        self._fallback = searches[-1]
        self._catalog: Catalog = self._fallback.catalog
        self._identity = IdentitySpace(self._catalog)
        self._places = {
            name: Places(self._catalog, search.feature)
            for name, search in self._searches.items()
            if isinstance(search.feature, PlacedVersion)
        }
        self._subjects = Subjects(self._catalog)
        self._versions: tuple[int, list[str]] = (-1, [])

    def versions(self) -> list[str]:
        """Return the feature versions that a query should have: the preferred one only where it ranks.

        It ranks where at least half of the parts that could be ranked have it.
        """
        change, versions = self._versions
        if change != (newest := self._catalog.last_change()):
            counts = count_vectors(self._catalog)
            least = counts.get(self._fallback.feature.name, 0) / 2
            versions = [
                name
                for name, search in self._searches.items()
                if search is self._fallback or 0 < counts.get(name, 0) >= least
            ]
            self._versions = newest, versions
        return list(versions)

    def by_id(self, part_id: str, *, include_self: bool = False, **options: object) -> CombinedResult:
        """Return what is like a stored part; the options are those of ``search``.

        Raises:
            NotFound: There is no such part, or it has none of the vectors that could rank.
        """
        part = self._catalog.part(part_id)
        known = self._values(part_id)
        if not known:
            raise no_such_vector(self._catalog, part_id, self._fallback.feature.name)
        subject = self._subjects.of([part.sha256]).get(part.sha256) if part.sha256 else None
        return self.search(Query(subject, known, None if include_self else part.row), **options)  # type: ignore[arg-type]

    def _values(self, part_id: str) -> dict[str, FloatVector]:
        """Return a part's raw values of the first version that ranks and that it has, by version."""
        for version in self.versions():
            _, _, raw = self._catalog.values_of([part_id], version)
            if len(raw):
                return {version: raw[0]}
        return {}

    def by_content(
        self, content: Content, vectors: Mapping[str, FloatVector], **options: object
    ) -> CombinedResult:
        """Return what is like a file that was read; the options are those of ``search``."""
        return self.search(Query(subject_of(self._catalog, content), vectors), **options)  # type: ignore[arg-type]

    def search(
        self,
        query: Query,
        *,
        k: int = 10,
        which: PartFilter | None = None,
        min_score: float = 0.0,
        explain: bool = False,
        relations: Wanted = EVERYTHING,
    ) -> CombinedResult:
        """Return the parts that are the same, or a part of one another, by proof; then those most alike.

        Args:
            query: What is asked about, with a vector of one of ``versions`` at least.
            k: How many.
            which: Only these parts.
            min_score: Least score of a hit without proof.
            explain: Whether to say what makes each distance.
            relations: Only parts that are this to it. Of parts without proof the nearest are compared, no
                more than fifty; all others are merely similar.

        Raises:
            InvalidInput: ``k`` or ``min_score`` is out of bounds.
        """
        check_bounds(k, min_score)
        ranking = self._ranking(query)
        first = ranking.first(k, which)
        candidates = self._candidates(query, which)
        hits = self._hits(query, ranking, first.rows, candidates, k, relations)
        hits = [hit for hit in hits if relations.admits(hit.relation)]
        hits = [hit for hit in hits if hit.relation.certified or hit.score >= min_score]
        # Meshes that may be the same come before what merely has like counts and extents.
        perhaps_first = ranking.feature is self._fallback.feature
        hits.sort(key=lambda hit: place(hit, perhaps_first=perhaps_first))
        del hits[k:]
        return CombinedResult(
            hits=explained(ranking, hits) if explain else tuple(hits),
            feature_version=COMBINED,
            metric="scaled",
            backend=first.backend,
            degraded=first.degraded,
            note=None if hits else self._why_nothing(query, ranking, which, min_score, relations),
            ranked_by=ranking.feature.name,
        )

    def _ranking(self, query: Query) -> Ranking:
        """Return the query under the first version that ranks and that it has."""
        versions = self.versions()
        for version in versions:
            if version in query.vectors:
                places = self._places.get(version)
                return Ranking(self._searches[version], query.vectors[version], places, query.row)
        raise InvalidInput(f"the query has no vector of {' or '.join(versions)}", stage="search")

    def _hits(
        self,
        query: Query,
        ranking: Ranking,
        first: Sequence[int],
        candidates: Sequence[Part],
        k: int,
        wanted: Wanted,
    ) -> list[RelatedHit]:
        """Return every candidate and the k nearest others, the nearest first, each with its relation."""
        most = min(k, _RELATED)
        if wanted != EVERYTHING:  # of the nearest some will be left out
            k, most = max(k, len(first)), _COMPARED
        known = {part.row: part for part in candidates}
        measured = ranking.measure({*known, *first})
        # Equal distances go to the older part.
        nearest = sorted(measured, key=lambda row: (measured[row].distance, row))
        known |= self._fallback.parts([row for row in nearest if row not in known][:k])
        ordered = sorted(
            known.values(),
            key=lambda part: (measured[part.row].distance if part.row in measured else _FAR, part.row),
        )
        compared = {part.row: part for part in (*candidates, *ordered[:most])}
        relations = self._relations(query.subject, list(compared.values()))
        name = ranking.feature.name
        hits = (related_hit(part, measured.get(part.row), relations.get(part.row), name) for part in ordered)
        return [hit for hit in hits if hit is not None]

    def _why_nothing(
        self, query: Query, ranking: Ranking, which: PartFilter | None, min_score: float, relations: Wanted
    ) -> str:
        if conditions := named(relations):
            return f"no part near it is what is wanted: {', '.join(conditions)}; ask for other relations"
        version = ranking.feature.name
        question = Question(query.vectors[version], which=which, min_score=min_score, exclude=query.row)
        return why_nothing(self._catalog, version, question, Admission(self._catalog, ranking.feature))

    def _candidates(self, query: Query, which: PartFilter | None) -> list[Part]:
        """Return the parts with the same bytes, and those that agree in invariants."""
        if query.subject is None:
            return []
        hashes, invariants = [query.subject.sha256], query.subject.document.invariants
        if invariants is not None:
            hashes += self._identity.candidates(invariants)
        allowed = self._fallback.admitted(which)
        admitted = None if allowed is None else set(allowed.tolist())
        return [
            part
            for part in self._catalog.parts_with_contents(hashes)
            if part.row != query.row and (admitted is None or part.row in admitted)
        ]

    def _relations(self, subject: Subject | None, parts: Sequence[Part]) -> dict[int, Relation]:
        """Relate parts to the query, by row; each content once."""
        if subject is None:
            unknown = Relation("similar", "none", reason="what is asked about was registered without a file")
            return {part.row: unknown for part in parts}
        hashes = {part.sha256 for part in parts if part.sha256 is not None}
        found = {
            sha256: relate(subject, _distinct(subject, other))
            for sha256, other in self._subjects.of(hashes).items()
        }
        return {part.row: found[part.sha256] for part in parts if part.sha256 in found}


def _distinct(query: Subject, other: Subject) -> Subject:
    """Return what is related to the query. Equal bytes read in two units are not the same part."""
    if query.sha256 == other.sha256 and query.document.bounding_box != other.document.bounding_box:
        return msgspec.structs.replace(other, sha256=f"{other.sha256} in another unit")
    return other
