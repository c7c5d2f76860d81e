"""Looks for the planted pairs, asks what they are to one another, and judges both answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from cadml_core.catalog.paths import path_to_text
from cadml_core.relations.relation import Kind, Relation
from cadml_core.relations.words import describe
from cadml_core.runtime import Runtime
from cadml_core.search.comparison import comparable, compare
from cadml_core.search.similarity import SimilaritySearch
from cadml_hostapp.demo.plan import Derivation, Planted
from cadml_hostapp.demo.planted import Samples

SEARCHED = 10
Outcome = Literal["found", "missed", "wrong"]
Searches = Mapping[str, SimilaritySearch]
"""By feature version."""


class Finding(msgspec.Struct, frozen=True):
    """How one planted pair was found, and what was said of it."""

    relation: Derivation
    """How the query was made from its partner."""
    query: str
    partner: str
    rank: int | None
    """The best of ``ranks``."""
    score: float | None
    """Of the partner in the search with that rank."""
    ranks: dict[str, int | None]
    """Of the partner among the hits, from 1, by the feature version searched; None where it is not among the
    first ten. Parts with equal scores share the best of their ranks; others made from the same part do not
    count."""
    expected: Kind | None
    """What is right to say; None where a certificate would be wrong."""
    said: Kind | None
    """What was said of the query; None where a file could not be read."""
    certified: bool
    words: str
    outcome: Outcome
    why: str
    """What is not as it should be; empty where it was found."""
    limit: str
    """The known limit for which it was missed, of ``plan.LIMITS``; empty where there is none."""

    @property
    def found(self) -> bool:
        """Whether the partner is among the first hits and the relation right."""
        return self.outcome == "found"

    @property
    def surprising(self) -> bool:
        """Whether it is wrong, or missed for a reason that is not known."""
        return not self.found and not self.limit


class _Ranked(msgspec.Struct, frozen=True):
    rank: int | None
    score: float | None


def look_for(
    runtime: Runtime, searches: Searches, samples: Samples, progress: Callable[[int, int | None], None]
) -> list[Finding]:
    """Search for the partner of every planted part, and compare both."""
    paths = {
        name: path_to_text(samples.folder / name)
        for pair in samples.planted
        for name in (pair.query, pair.partner)
    }
    parts = runtime.catalog.parts_by_path(paths.values())
    ids = {name: parts[path].id for name, path in paths.items() if path in parts}
    findings = []
    for done, pair in enumerate(samples.planted, start=1):
        cousins = {ids.get(other.query, "") for other in samples.planted if other.partner == pair.partner}
        findings.append(_look(runtime, searches, pair, ids, cousins))
        progress(done, len(samples.planted))
    return findings


def _look(
    runtime: Runtime, searches: Searches, pair: Planted, ids: Mapping[str, str], cousins: set[str]
) -> Finding:
    if pair.query not in ids or pair.partner not in ids:
        return _finding(pair, {}, None, "missed", "one of the files could not be read")
    query, partner = ids[pair.query], ids[pair.partner]
    ranked = {name: _rank(search, query, partner, cousins) for name, search in searches.items()}
    first, second = (comparable(runtime.intake, part) for part in (partner, query))
    relation = compare(runtime.intake, first, second)
    outcome, why = judge(pair, best(ranked).rank, relation)
    return _finding(pair, ranked, relation, outcome, why)


def _rank(search: SimilaritySearch, query: str, partner: str, cousins: set[str]) -> _Ranked:
    if not search.catalog.values_of([query], search.feature.name)[0]:
        return _Ranked(None, None)  # a drawing has no surfaces to compare
    hits = search.by_id(query, k=SEARCHED).hits
    scores = {hit.id: round(hit.score, 6) for hit in hits}
    score = scores.get(partner)
    if score is None:
        return _Ranked(None, None)
    others = (other for part, other in scores.items() if part not in cousins)
    return _Ranked(1 + sum(other > score for other in others), score)


def best(ranked: Mapping[str, _Ranked]) -> _Ranked:
    """Return the best rank of the searches; the first of them where they agree."""
    return min(ranked.values(), key=lambda found: found.rank or SEARCHED + 1)


def judge(pair: Planted, rank: int | None, relation: Relation) -> tuple[Outcome, str]:
    """Tell whether a pair was found, and if not, why; a false certificate is worse than a miss."""
    told, kind, within = pair.expected
    words = describe(relation)
    right = relation.kind == kind and pair.words in words
    if relation.certified and not right:
        return "wrong", f"{told} was certified as: {words}"
    if within is not None and (rank is None or rank > within):
        return "missed", f"not among the first {within} hits" if within > 1 else "not the first hit"
    if kind is not None and not right:
        return "missed", relation.reason or f"the relation should be {kind} {pair.words}".rstrip()
    return "found", ""


def _finding(
    pair: Planted, ranked: Mapping[str, _Ranked], relation: Relation | None, outcome: Outcome, why: str
) -> Finding:
    leading = best(ranked) if ranked else _Ranked(None, None)
    return Finding(
        pair.relation,
        pair.query,
        pair.partner,
        leading.rank,
        leading.score,
        {name: found.rank for name, found in ranked.items()},
        pair.expected.kind,
        None if relation is None else relation.kind,
        relation is not None and relation.certified,
        "" if relation is None else describe(relation),
        outcome,
        why,
        pair.limit if outcome == "missed" else "",
    )
