"""What the searches take and answer."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from cadml_core.catalog.records import PartFilter
from cadml_core.search.filters import SlotRange
from cadml_core.search.questions import Contribution
from cadml_core.search.spaces import SpaceName
from cadml_core.search.wanted import LARGEST_PER_CENT, wanted
from cadml_core.search.wanted import Wanted as WantedRelations
from cadml_hostapp.routes.fields import (
    Body,
    Number,
    PartId,
    PerCent,
    Score,
    Space,
    Text,
    TopK,
    Values,
    Wanted,
    Words,
)


class Filters(Body, frozen=True, kw_only=True):
    """Only parts that have all of these."""

    format: Wanted | None = None
    material: Wanted | None = None
    project: Wanted | None = None
    label: Wanted | None = None
    text: Words | None = None

    def which(self) -> PartFilter | None:
        """Return the filter as the catalogue knows it, None where it admits every part."""
        which = PartFilter(
            format=self.format,
            material=self.material,
            project=self.project,
            label=self.label,
            text=self.text,
        )
        return None if which == PartFilter() else which


class Range(Body, frozen=True, kw_only=True):
    """Bounds of one slot's raw value, both included."""

    slot: Text
    minimum: Number | None = None
    maximum: Number | None = None


class RelatedFilters(Filters, frozen=True, kw_only=True):
    """Filters, and what a hit must be to the query; the latter in combined searches only."""

    relations: Annotated[
        list[Text],
        Meta(
            max_length=10,
            description="Only these kinds; any where empty. Combined searches only.",
        ),
    ] = msgspec.field(default_factory=list)
    mirror: Annotated[
        bool, Meta(description="Whether proved mirror images are found. Combined searches only.")
    ] = True
    scale: Annotated[
        Text | Annotated[float, Meta(ge=0, le=LARGEST_PER_CENT)],
        Meta(
            description="`any`, `same`, or by how many per cent a proved scaled copy may differ in size."
            " Combined searches only."
        ),
    ] = "any"

    def wanted(self) -> WantedRelations:
        """Return it as the search knows it."""
        return wanted(self.relations, mirror=self.mirror, scale=self.scale)


class SearchRequest(RelatedFilters, frozen=True, kw_only=True):
    """A search by ``vector`` or by the ``id`` of a part."""

    vector: Values | None = None
    id: PartId | None = None
    feature_version: (
        Annotated[
            Text,
            Meta(
                description="`combined`: what is proved to be the same comes first, and each hit says what it"
                " is; by `id` only. Else the configured version, as where absent."
            ),
        ]
        | None
    ) = None
    k: TopK = 10
    metric: Space = "scaled"
    min_score: Score = 0.0
    size_within: PerCent | None = None
    include_self: Annotated[bool, Meta(description="Also return the part that was asked about.")] = False
    explain: Annotated[bool, Meta(description="Add each slot's share of the distance.")] = False
    ranges: Annotated[
        list[Range],
        Meta(max_length=100, description="Only parts whose raw values lie within these bounds."),
    ] = msgspec.field(default_factory=list)

    def bounds(self) -> tuple[SlotRange, ...]:
        """Return the ranges as the search knows them."""
        return tuple(SlotRange(found.slot, found.minimum, found.maximum) for found in self.ranges)


class FileSearchOptions(RelatedFilters, frozen=True, kw_only=True):
    """The ``options`` of a search by file."""

    k: TopK = 10
    min_score: Score = 0.0
    size_within: PerCent | None = None
    explain: bool = False
    """Add what makes each distance."""


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


class SimilarityAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How alike two parts are."""

    id_a: str
    id_b: str
    score: float
    distance: float
    feature_version: str
    metric: SpaceName
    explanation: tuple[Contribution, ...]
