"""Hits that say what they are: their scores, their order, and how they are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from cadml_core.catalog.records import Part
from cadml_core.relations.relation import Kind, Relation
from cadml_core.relations.words import describe
from cadml_core.search.questions import Hit, SearchResult
from cadml_core.search.ranking import BlockShare, Measured, Ranking

LARGEST_UNCERTAIN = 0.999
"""Largest score without proof that it is the same part: three digits of it never read 1.000."""
_PROVED: tuple[Kind, ...] = ("identical", "same", "mirrored", "scaled", "multiple", "contains", "part_of")
"""The order in which hits with proof come."""


class RelatedHit(Hit, frozen=True, kw_only=True, gc=False):
    """A hit that says what it is. Only ``identical`` and ``same`` parts score 1.

    ``distance`` is -1 of a proved relation to a part that lacks the feature version of the ranking.
    """

    relation: Relation
    words: str
    """The relation in one sentence."""
    spaces: Mapping[str, float] = msgspec.field(default_factory=dict)
    """Scores by what they were measured in: the feature version that ranks; empty where it has no vector."""
    blocks: tuple[BlockShare, ...] | None = None
    """In the order of the version's blocks; None where none were asked for, or the version has none."""


class CombinedResult(SearchResult, frozen=True, kw_only=True, gc=False):
    """Hits with proof first, by kind; then all others by descending score."""

    hits: tuple[RelatedHit, ...]
    ranked_by: str
    """The feature version whose distance ranks what is not proved."""


def place(hit: RelatedHit, *, perhaps_first: bool) -> tuple[int, float]:
    """Return what hits are sorted by: proof first, by kind, then perhaps meshes, then all by score."""
    if hit.relation.certified:
        return _PROVED.index(hit.relation.kind), -hit.score
    if perhaps_first and hit.relation.kind == "same_within_mesh_error":
        return len(_PROVED), hit.relation.tolerance_mm or 0.0
    return len(_PROVED) + 1, -hit.score


def related_hit(
    part: Part, measured: Measured | None, relation: Relation | None, space: str
) -> RelatedHit | None:
    """Return a hit; None for a part that is neither ranked nor related by proof."""
    if relation is None:
        reason = "only the first hits are compared" if part.sha256 else "it was registered without a file"
        relation = Relation("similar", "none", reason=reason)
    same = relation.kind in ("identical", "same")
    if measured is None and not relation.certified:
        return None
    distance, score = (-1.0, 0.0) if measured is None else measured
    return RelatedHit(
        part.id,
        1.0 if same else min(score, LARGEST_UNCERTAIN),
        distance,
        part.name,
        part.format,
        part.path,
        part.material,
        part.project,
        part.label,
        relation=relation,
        words=describe(relation),
        spaces={} if measured is None else {space: score},
    )


def explained(ranking: Ranking, hits: Sequence[RelatedHit]) -> tuple[RelatedHit, ...]:
    """Add to hits what makes their distances."""
    reasons = ranking.explain([hit.id for hit in hits])
    return tuple(_with_reason(hit, reasons.get(hit.id, ())) for hit in hits)


def _with_reason(hit: RelatedHit, reason: Sequence[object]) -> RelatedHit:
    if not reason:
        return hit
    field = "blocks" if isinstance(reason[0], BlockShare) else "explanation"
    return msgspec.structs.replace(hit, **{field: reason})
