"""Handlers of ``/vectors/search`` and ``/vectors/similarity``."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Router

from cadml_core.contracts.formats import LENGTH_UNITS, UnitName
from cadml_core.errors import InvalidInput
from cadml_core.runtime import Runtime
from cadml_core.search.batch import BatchResult
from cadml_core.search.questions import SearchResult
from cadml_core.search.related import CombinedResult
from cadml_hostapp.http.related import related_to_file
from cadml_hostapp.http.uploads import Form, FormReader
from cadml_hostapp.routes.declare import READ_ERRORS, REF, invalid, json_body, route
from cadml_hostapp.routes.search.schemas import (
    BatchSimilarityRequest,
    FileSearchOptions,
    SearchRequest,
    SimilarityAnswer,
    SimilarityRequest,
)
from cadml_hostapp.services import ServicesDependency

STAGE = "similarity"
_FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "The CAD file."},
        "options": {
            "$ref": REF.format(name="FileSearchOptions"),
            "description": "JSON: filters, `k`, `min_score`, `size_within`, `relations`, `mirror`, `scale`,"
            " `explain`.",
        },
        "unit": {
            "type": "string",
            "enum": list(LENGTH_UNITS),
            "description": "Unit of a file that states none.",
        },
    },
    "additionalProperties": False,
}


@route(
    "POST",
    "/search",
    "DATA_NOT_FOUND",
    "DIMENSION_MISMATCH",
    stage=STAGE,
    body=SearchRequest,
    status_code=200,
)
async def search(
    request: Request[Any, Any, Any], services: ServicesDependency
) -> SearchResult | CombinedResult:
    """Find the parts most similar to a vector or to a part. Filters apply before the cut to k.

    With the `feature_version` `combined`, what is proved to be the same comes first, and each hit says what
    it is to the part.
    """
    body = await json_body(request, SearchRequest)
    if (body.vector is None) == (body.id is None):
        raise InvalidInput("give either `vector` or `id`", stage=STAGE, field="vector")
    return await services.searcher.search(body)


@route("POST", "/file", *READ_ERRORS, stage=STAGE, form=_FORM, status_code=200, request_max_body_size=None)
async def search_file(request: Request[Any, Any, Any], services: ServicesDependency) -> CombinedResult:
    """Find what a file is to the parts of the catalogue, and the parts most like it. Stores nothing.

    What is proved to be the same part comes first; each hit says what it is.
    """
    runtime = services.runtime
    async with Form(runtime.blobs) as form:
        await FormReader(
            runtime.blobs,
            text_fields=frozenset({"options", "unit"}),
            file_fields=frozenset({"file"}),
            max_files=1,
            max_bytes=services.max_file_bytes,
            stage=STAGE,
        ).read(request, form)
        if not form.files:
            raise InvalidInput("the field 'file' is missing", stage=STAGE, field="file")
        asked, unit = _said(form)
        return await related_to_file(runtime, services.readers, form.files[0], asked, unit)


def _said(form: Form) -> tuple[FileSearchOptions, UnitName | None]:
    """Check the text fields; an empty one counts as not given."""
    unit = form.fields.get("unit") or None
    if unit is not None and unit not in LENGTH_UNITS:
        raise InvalidInput(
            f"unit {unit[:20]!r} is unknown; allowed: {', '.join(LENGTH_UNITS)}", stage=STAGE, field="unit"
        )
    try:
        asked = msgspec.json.decode(form.fields.get("options") or "{}", type=FileSearchOptions)
    except msgspec.ValidationError as error:
        raise invalid(error, STAGE, FileSearchOptions) from None
    except msgspec.DecodeError as error:
        raise InvalidInput(f"options: not valid JSON: {error}", stage=STAGE, field="options") from None
    return asked, unit  # type: ignore[return-value]


@route("POST", "/similarity/batch", stage=STAGE, body=BatchSimilarityRequest, status_code=200)
async def similarity_batch(request: Request[Any, Any, Any], services: ServicesDependency) -> BatchResult:
    """Find the neighbours of many parts at once. An unknown id does not fail the others."""
    body = await json_body(request, BatchSimilarityRequest)
    return await services.read(
        services.runtime.batches.similar,
        body.ids,
        k=body.top_k,
        metric=body.metric,
        which=body.which(),
        min_score=body.min_score,
    )


@route("POST", "/similarity", "DATA_NOT_FOUND", stage=STAGE, body=SimilarityRequest, status_code=200)
async def similarity(request: Request[Any, Any, Any], services: ServicesDependency) -> SimilarityAnswer:
    """Compare two parts: score, distance, and each slot's share of the distance."""
    body = await json_body(request, SimilarityRequest)
    return await services.read(_compare, services.runtime, body)


def _compare(runtime: Runtime, body: SimilarityRequest) -> SimilarityAnswer:
    hit = runtime.search.pair(body.id_a, body.id_b, metric=body.metric)
    return SimilarityAnswer(
        id_a=body.id_a,
        id_b=body.id_b,
        score=hit.score,
        distance=hit.distance,
        feature_version=runtime.feature.name,
        metric=body.metric,
        explanation=hit.explanation or (),
    )


router = Router("/vectors", route_handlers=[search, similarity, similarity_batch], tags=["vectors"])
file_router = Router("/search", route_handlers=[search_file], tags=["vectors"])
