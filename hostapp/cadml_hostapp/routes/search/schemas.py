"""What the searches take and answer."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from cadml_core.catalog.records import PartFilter
from cadml_core.search.batch import BatchResult
from cadml_core.search.filters import SlotRange
from cadml_core.search.questions import Contribution, Hit, SearchResult
from cadml_core.search.spaces import SpaceName
from cadml_hostapp.routes.fields import Body, Number, PartId, Score, Space, Text, TopK, Values, Wanted


class Filters(Body, frozen=True, kw_only=True):
    """Only parts that have all of these."""

    format: Wanted | None = None
    material: Wanted | None = None
    project: Wanted | None = None
    label: Wanted | None = None

    def which(self) -> PartFilter | None:
        """Return the filter as the catalogue knows it, None where it admits every part."""
        which = PartFilter(format=self.format, material=self.material, project=self.project, label=self.label)
        return None if which == PartFilter() else which


class Range(Body, frozen=True, kw_only=True):
    """Bounds of one slot's raw value, both included."""

    slot: Text
    minimum: Number | None = None
    maximum: Number | None = None


class SearchRequest(Filters, frozen=True, kw_only=True):
    """A search by ``vector`` or by the ``id`` of a part."""

    vector: Values | None = None
    id: PartId | None = None
    k: TopK = 10
    metric: Space = "scaled"
    min_score: Score = 0.0
    include_self: Annotated[bool, Meta(description="Also return the part that was asked about.")] = False
    explain: Annotated[bool, Meta(description="Add each slot's share of the distance.")] = False
    ranges: Annotated[
        list[Range],
        Meta(max_length=100, description="Only parts whose raw values lie within these bounds."),
    ] = msgspec.field(default_factory=list)

    def bounds(self) -> tuple[SlotRange, ...]:
        """Return the ranges as the search knows them."""
        return tuple(SlotRange(found.slot, found.minimum, found.maximum) for found in self.ranges)


class SimilarityRequest(Body, frozen=True, kw_only=True):
    """Two parts to compare."""

    id_a: PartId
    id_b: PartId
    metric: Space = "scaled"


class BatchSimilarityRequest(Filters, frozen=True, kw_only=True):
    """Parts whose neighbours are wanted."""

    ids: Annotated[list[PartId], Meta(min_length=1)]
    top_k: TopK = 10
    metric: Space = "scaled"
    min_score: Score = 0.0


class HitAnswer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One similar part. Made by the thousand and never part of a cycle, so not the collector's concern."""

    id: str
    score: float
    """In [0, 1]; 1 is identical."""
    distance: float
    name: str
    format: str | None
    path: str | None
    material: str | None
    project: str | None
    label: str | None
    explanation: tuple[Contribution, ...] | None = None


class SearchAnswer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Hits by descending score."""

    hits: list[HitAnswer]
    feature_version: str
    metric: SpaceName
    backend: str
    degraded: bool
    """True where a stand-in answered because the chosen index could not."""


def hit_answer(hit: Hit) -> HitAnswer:
    """Show a hit."""
    part = hit.part
    return HitAnswer(
        id=part.id,
        score=hit.score,
        distance=hit.distance,
        name=part.name,
        format=part.format,
        path=part.path,
        material=part.material,
        project=part.project,
        label=part.label,
        explanation=hit.explanation,
    )


def search_answer(result: SearchResult) -> SearchAnswer:
    """Show what a search found."""
    return SearchAnswer(
        hits=[hit_answer(hit) for hit in result.hits],
        feature_version=result.feature_version,
        metric=result.metric,
        backend=result.backend,
        degraded=result.degraded,
    )


class BatchHitsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was found for one part of a batch."""

    id: str
    status: Literal["success", "not_found"]
    hits: list[HitAnswer]


class BatchSimilarityAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One item for each id, in their order."""

    items: list[BatchHitsAnswer]
    feature_version: str
    metric: SpaceName
    backend: str
    degraded: bool
    parallel: bool
    savings_seconds: float
    """The threads' own times minus the time that passed, measured."""


def batch_similarity_answer(result: BatchResult) -> BatchSimilarityAnswer:
    """Show what a batch found."""
    return BatchSimilarityAnswer(
        items=[
            BatchHitsAnswer(id=item.id, status=item.status, hits=[hit_answer(hit) for hit in item.hits])
            for item in result.items
        ],
        feature_version=result.feature_version,
        metric=result.metric,
        backend=result.backend,
        degraded=result.degraded,
        parallel=result.parallel,
        savings_seconds=result.savings_seconds,
    )


class SimilarityAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How alike two parts are."""

    id_a: str
    id_b: str
    score: float
    distance: float
    feature_version: str
    metric: SpaceName
    explanation: tuple[Contribution, ...]
