"""Handlers of ``/vectors``."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, Router
from litestar.openapi.datastructures import ResponseSpec

from cadml_core.catalog.store import Catalog
from cadml_core.search.questions import checked_values
from cadml_core.search.statistics import vector_statistics
from cadml_hostapp.routes.declare import NAMED, json_body, route
from cadml_hostapp.routes.index.handlers import reload_backend
from cadml_hostapp.routes.parameters import Cursor, KnownId, PageSize, QueryVersion, feature_named, row_after
from cadml_hostapp.routes.vectors.schemas import (
    RegisterVector,
    StatisticsAnswer,
    VectorAnswer,
    VectorPage,
    VectorRegistered,
    VectorSummary,
)
from cadml_hostapp.services import ServicesDependency

STAGE = "vectors"


@route(
    "POST",
    "/register",
    *NAMED,
    "DIMENSION_MISMATCH",
    stage=STAGE,
    body=RegisterVector,
    status_code=200,
    responses={201: ResponseSpec(VectorRegistered, description="The part is new.", generate_examples=False)},
)
async def register(
    request: Request[Any, Any, Any], services: ServicesDependency
) -> Response[VectorRegistered]:
    """Give a part a vector that was computed elsewhere. A part of that id is made where there is none."""
    body = await json_body(request, RegisterVector)
    runtime = services.runtime
    feature = feature_named(runtime, body.feature_version, stage=STAGE)
    values = checked_values(body.vector, feature)
    outcome = await services.write(
        runtime.catalog.register_vector, body.id, feature.name, values, meta=body.meta
    )
    answer = VectorRegistered(
        id=outcome.id, status=outcome.status, feature_version=feature.name, dimension=len(values)
    )
    return Response(answer, status_code=201 if outcome.status == "added" else 200)


@route("GET", "/", stage=STAGE)
async def list_vectors(
    services: ServicesDependency, cursor: Cursor = None, limit: PageSize = 100
) -> VectorPage:
    """List the parts with the feature versions they have, a page at a time."""
    return await services.read(_page, services.runtime.catalog, row_after(cursor), limit)


@route("GET", "/stats", stage=STAGE)
async def stats(services: ServicesDependency) -> StatisticsAnswer:
    """Count the parts by format, version and material, and describe the spread of each slot."""
    runtime = services.runtime
    found = await services.read(vector_statistics, runtime.catalog, runtime.feature)
    health = await services.read(runtime.search.indexes.health)
    return StatisticsAnswer(
        **msgspec.structs.asdict(found),
        backend=health.backend,
        index_size=health.index_size,
        degraded=health.degraded,
    )


@route("GET", "/{part_id:str}", *NAMED, stage=STAGE)
async def show_vector(
    services: ServicesDependency, part_id: KnownId, version: QueryVersion = None
) -> VectorAnswer:
    """Show a part's raw values under one feature version, by default the configured one."""
    feature = feature_named(services.runtime, version, stage=STAGE)
    vector = await services.read(services.runtime.catalog.vector, part_id, feature.name)
    return VectorAnswer(
        id=part_id,
        feature_version=feature.name,
        source=vector.source,
        values=vector.values.tolist(),
        slots=[slot.name for slot in feature.slots],
    )


@route("DELETE", "/{part_id:str}", "DATA_NOT_FOUND", stage=STAGE)
async def delete_vector(services: ServicesDependency, part_id: KnownId) -> None:
    """Delete a part's vectors; the part itself too where it has no file."""
    await services.write(services.runtime.catalog.remove_vectors, part_id)


def _page(catalog: Catalog, start: int, limit: int) -> VectorPage:
    found = catalog.parts(after=start, limit=limit + 1)
    page = found[:limit]
    vectors = catalog.vectors_of(part.row for part in page)
    items = [
        VectorSummary(
            id=part.id,
            name=part.name,
            vectors={version: vector.source for version, vector in vectors[part.row].items()},
        )
        for part in page
        if part.row in vectors
    ]
    return VectorPage(items, str(page[-1].row) if len(found) > limit else None)


router = Router(
    "/vectors",
    route_handlers=[
        register,
        list_vectors,
        show_vector,
        delete_vector,
        stats,
        reload_backend,
    ],
    tags=["vectors"],
)
