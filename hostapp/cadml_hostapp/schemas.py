"""What the server takes and answers, apart from the domain's own types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from litestar.params import PathParameter, QueryParameter
from msgspec import Meta

from cadml_core.analysis import Analysis, AnalysisOptions
from cadml_core.catalog.records import Part, PartFilter, Status, Vector
from cadml_core.classifier.registry import Classification, ModelInfo
from cadml_core.contracts.features import FeatureVersion
from cadml_core.documents.document import BoundingBox, CadDocument, FacetQuality, MassProperties, Vector3
from cadml_core.errors import Problem
from cadml_core.migration.migrator import MigrationReport
from cadml_core.search.batch import BatchResult
from cadml_core.search.filters import SlotRange
from cadml_core.search.index.health import IndexHealth
from cadml_core.search.questions import Contribution, Hit, SearchResult
from cadml_core.search.spaces import SpaceName
from cadml_core.search.statistics import SlotStatistics

PartId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=r"^(?!\.{1,2}$)[^/\\\x00-\x1f\x7f]*[^/\\\s\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*\Z",
        description="Id of a part: 1 to 200 characters, no slashes, no control characters, not blank.",
    ),
]
Text = Annotated[str, Meta(max_length=1000, pattern=r"^[^\x00]*\Z")]
Wanted = Annotated[Text, Meta(description="Only parts that have exactly this.")]
Version = Annotated[Text, Meta(description="A feature version; the configured one where absent.")]
TopK = Annotated[int, Meta(ge=1, le=100, description="How many hits.")]
Score = Annotated[float, Meta(ge=0, le=1, description="From 0 to 1; 1 is identical.")]
PageSize = Annotated[int, QueryParameter(ge=1, le=1000, description="Most items of one page.")]
Cursor = Annotated[
    str | None, QueryParameter(pattern=r"^[0-9]{1,18}$", description="`next_cursor` of the page before.")
]
QueryText = Annotated[
    str | None,
    QueryParameter(max_length=1000, pattern=r"^[^\x00]*$", description="Only what has exactly this."),
]
QueryVersion = Annotated[
    str | None,
    QueryParameter(
        max_length=1000,
        pattern=r"^[^\x00]*$",
        description="A feature version; the configured one where absent.",
    ),
]
KnownIdQuery = Annotated[
    str, QueryParameter(max_length=1000, pattern=r"^[^\x00]+$", description="Id of a part.")
]
KnownId = Annotated[str, PathParameter(max_length=1000, pattern=r"^[^\x00]+$", description="Id of a part.")]
Number = Annotated[float, Meta(ge=-1.7976931348623157e308, le=1.7976931348623157e308)]
"""A finite number."""
Values = Annotated[
    list[Number],
    Meta(min_length=1, max_length=100_000, description="Raw values, in the order of the slots."),
]
Space = Annotated[
    SpaceName, Meta(description="`scaled`: distance in the embedding; `cosine_raw`: angle of raw values.")
]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request's body: an unknown field is refused with its name."""


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


class AnalyzeOptions(Body, frozen=True, kw_only=True):
    """The ``options`` of an upload."""

    store: bool = True
    """Keep the file, the part and its vector."""
    strict: bool = False
    """Refuse a file that holds no geometry."""
    calculate_similarity: bool = False
    """Answer with the most similar parts."""
    top_k: TopK = 5
    classify: bool = True
    """Answer with a class where a model is loaded."""

    def wanted(self) -> AnalysisOptions:
        """Return the options as the analyzer knows them."""
        return AnalysisOptions(
            store=self.store,
            strict=self.strict,
            similar=self.top_k if self.calculate_similarity else 0,
            classify=self.classify,
        )


class RegisterVector(Body, frozen=True, kw_only=True):
    """A vector computed elsewhere."""

    id: PartId
    vector: Values
    feature_version: Version | None = None
    """The configured one where None."""
    meta: dict[str, Any] | None = None


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
    ] = []

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


class MigrationRequest(Body, frozen=True, kw_only=True):
    """What to migrate."""

    to_version: Text
    ids: Annotated[list[PartId], Meta(min_length=1)] | None = None
    """Only these parts; all where None."""
    dry_run: bool = False
    """Compute everything and write nothing."""


class BackendRequest(Body, frozen=True, kw_only=True):
    """Which backend is to answer."""

    backend: Text | None = None
    """Name of an installed vector backend; the one in use, built anew, where None."""


class ModelRequest(Body, frozen=True, kw_only=True):
    """Which model is to serve."""

    path: Annotated[str, Meta(min_length=1, max_length=1000, description="Inside the model folder.")]
    expected_sha256: Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{64}$")] | None = None


class DocumentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader found in a file. Lengths are millimetres."""

    entity_count: int
    entity_counts: dict[str, int]
    surface_count: int
    solid_count: int
    shell_count: int
    facet_count: int
    edge_counts: dict[str, int]
    surface_areas: dict[str, float]
    layers: tuple[str, ...]
    bounding_box: BoundingBox | None
    extents: Vector3 | None
    unit: str | None
    area: float | None
    mass: MassProperties | None
    facet_quality: FacetQuality | None
    properties: dict[str, str | int | float | bool]


_DOCUMENT_FIELDS = tuple(
    field for field in DocumentAnswer.__struct_fields__ if field not in ("entity_count", "extents")
)


def document_answer(document: CadDocument) -> DocumentAnswer:
    """Show a document without its mesh; its warnings are shown beside it."""
    return DocumentAnswer(
        entity_count=document.entity_count,
        extents=document.bounding_box.extents if document.bounding_box else None,
        **{field: getattr(document, field) for field in _DOCUMENT_FIELDS},
    )


class FeaturesAnswer(msgspec.Struct, frozen=True):
    """Raw values, in the order of the slots."""

    version: str
    values: list[float]
    slots: list[str]


class PartAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the catalogue."""

    id: str
    name: str
    sha256: str | None
    format: str | None
    path: str | None
    material: str | None
    project: str | None
    label: str | None
    meta: dict[str, Any]
    created: str
    updated: str


_PART_FIELDS = PartAnswer.__struct_fields__


def part_answer(part: Part) -> PartAnswer:
    """Show a part without its row number."""
    return PartAnswer(**{field: getattr(part, field) for field in _PART_FIELDS})


class PartDetail(PartAnswer, frozen=True, kw_only=True):
    """A part, what its file holds, and the feature versions it has."""

    document: DocumentAnswer | None
    """None where a vector was registered without a file."""
    warnings: tuple[str, ...]
    vectors: dict[str, str]
    """Feature version -> where its vector comes from: extracted, registered, migrated."""


def part_detail(part: Part, document: CadDocument | None, vectors: Mapping[str, Vector]) -> PartDetail:
    """Show everything about a part."""
    return PartDetail(
        **{field: getattr(part, field) for field in _PART_FIELDS},
        document=document_answer(document) if document else None,
        warnings=document.warnings if document else (),
        vectors={version: vector.source for version, vector in sorted(vectors.items())},
    )


class PartPage(msgspec.Struct, frozen=True):
    """One page of parts."""

    items: list[PartAnswer]
    next_cursor: str | None
    """Give it as ``cursor`` for the next page; None on the last."""


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


class StatisticsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the catalogue and the index hold. Parts without a format or material count under no name."""

    total_parts: int
    total_vectors: int
    by_format: dict[str, int]
    by_material: dict[str, int]
    by_version: dict[str, int]
    feature_version: str
    slots: tuple[SlotStatistics, ...]
    backend: str
    index_size: int
    degraded: bool


class IndexHealthForAdmin(IndexHealth, frozen=True, kw_only=True):
    """The state of the index after an admin's action."""

    next_rotation_hint: str | None = None
    """Told once the admin token has been in use for 7 days."""


class MigrationReportForAdmin(MigrationReport, frozen=True, kw_only=True):
    """What a migration did."""

    next_rotation_hint: str | None = None
    """Told once the admin token has been in use for 7 days."""


class ModelInfoForAdmin(ModelInfo, frozen=True, kw_only=True):
    """The model that serves now."""

    next_rotation_hint: str | None = None
    """Told once the admin token has been in use for 7 days."""


class SimilarityAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How alike two parts are."""

    id_a: str
    id_b: str
    score: float
    distance: float
    feature_version: str
    metric: SpaceName
    explanation: tuple[Contribution, ...]


class AnalyzeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in an uploaded file, and what became of it."""

    id: str | None
    """None where it was not stored."""
    status: Status | Literal["not_stored"]
    file_name: str
    format: str
    size: int
    sha256: str
    document: DocumentAnswer
    features: FeaturesAnswer
    warnings: tuple[str, ...]
    cache_hit: bool
    """True where the content was known, so that it was not read again."""
    duplicates: list[str]
    """Other parts with the same content."""
    timings: dict[str, float]
    """Seconds by step."""
    similar: list[HitAnswer] | None = None
    classification: Classification | None = None


def analyze_answer(analysis: Analysis, file_name: str, feature: FeatureVersion) -> AnalyzeAnswer:
    """Show an analysis."""
    content, similar = analysis.content, analysis.similar
    return AnalyzeAnswer(
        id=analysis.id,
        status=analysis.status,
        file_name=file_name,
        format=content.format,
        size=content.size,
        sha256=content.sha256,
        document=document_answer(content.document),
        features=FeaturesAnswer(
            feature.name, analysis.values.tolist(), [slot.name for slot in feature.slots]
        ),
        warnings=analysis.warnings,
        cache_hit=analysis.recognised,
        duplicates=list(analysis.duplicates),
        similar=None if similar is None else [hit_answer(hit) for hit in similar],
        classification=analysis.classification,
        timings=analysis.timings,
    )


class BatchItem(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one file of a batch: a result or an error."""

    file_name: str
    status: Literal["success", "error"]
    result: AnalyzeAnswer | None = None
    error: Problem | None = None


class BatchAnswer(msgspec.Struct, frozen=True):
    """What became of a batch, in the order of its files."""

    total: int
    succeeded: int
    failed: int
    items: list[BatchItem]


class VectorRegistered(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a registered vector."""

    id: str
    status: Status
    feature_version: str
    dimension: int


class VectorSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A part and its vectors."""

    id: str
    name: str
    vectors: dict[str, str]
    """Feature version -> where its vector comes from."""


class VectorPage(msgspec.Struct, frozen=True):
    """One page of vectors."""

    items: list[VectorSummary]
    next_cursor: str | None


class VectorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One vector: raw values, in the order of the slots."""

    id: str
    feature_version: str
    source: str
    values: list[float]
    slots: list[str]


class FeatureVersionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One feature version."""

    name: str
    dimension: int
    metric: str
    needs_mesh: bool
    default: bool
    """True for the version that new parts get."""


class PluginAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one plugin."""

    name: str
    distribution: str
    version: str
    target: str
    status: str
    kinds: tuple[str, ...]
    provides: tuple[str, ...]
    error: str | None
    hint: str | None
    import_seconds: float


class HealthAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the process works."""

    status: Literal["ok", "degraded"]
    version: str
    feature_version: str
    vector_backend: str
    uptime_seconds: float


class ReadyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the server can do its job."""

    ready: bool
    checks: dict[str, str]
