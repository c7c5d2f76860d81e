"""Handlers of ``/vectors/search`` and ``/vectors/similarity``."""

from __future__ import annotations

from typing import Any

from litestar import Request, Router

from cadml_core.errors import InvalidInput
from cadml_core.runtime import Runtime
from cadml_core.search.batch import BatchResult
from cadml_core.search.questions import SearchResult
from cadml_hostapp.routes.declare import json_body, route
from cadml_hostapp.routes.search.schemas import (
    BatchSimilarityRequest,
    SearchRequest,
    SimilarityAnswer,
    SimilarityRequest,
)
from cadml_hostapp.services import ServicesDependency

STAGE = "similarity"


@route(
    "POST",
    "/search",
    "DATA_NOT_FOUND",
    "DIMENSION_MISMATCH",
    stage=STAGE,
    body=SearchRequest,
    status_code=200,
)
async def search(request: Request[Any, Any, Any], services: ServicesDependency) -> SearchResult:
    """Find the parts most similar to a vector or to a part. Filters apply before the cut to k."""
    body = await json_body(request, SearchRequest)
    if (body.vector is None) == (body.id is None):
        raise InvalidInput("give either `vector` or `id`", stage=STAGE, field="vector")
    return await services.searcher.search(body)


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
