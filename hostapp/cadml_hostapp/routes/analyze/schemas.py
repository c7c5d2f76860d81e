"""What ``/analyze`` takes and answers, and how a document is shown wherever one is."""

from __future__ import annotations

from typing import Literal

import msgspec

from cadml_core.analysis import Analysis, AnalysisOptions
from cadml_core.catalog.records import Status
from cadml_core.classifier.registry import Classification
from cadml_core.contracts.features import FeatureVersion
from cadml_core.documents.document import BoundingBox, CadDocument, FacetQuality, MassProperties, Vector3
from cadml_core.errors import Problem
from cadml_core.search.questions import Hit
from cadml_hostapp.routes.fields import Body, TopK


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
    retry: bool = False
    """Read the file again where its content could not be read before."""

    def wanted(self) -> AnalysisOptions:
        """Return the options as the analyzer knows them."""
        return AnalysisOptions(
            store=self.store,
            strict=self.strict,
            similar=self.top_k if self.calculate_similarity else 0,
        )


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
    similar: tuple[Hit, ...] | None = None
    classification: Classification | None = None


def analyze_answer(analysis: Analysis, file_name: str, feature: FeatureVersion) -> AnalyzeAnswer:
    """Show an analysis."""
    content = analysis.content
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
        similar=analysis.similar,
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
