"""Handlers of ``/parts``."""

from __future__ import annotations

from litestar import Router

from cadml_core.catalog.records import PartFilter
from cadml_hostapp.routes.declare import route
from cadml_hostapp.routes.parameters import Cursor, KnownId, PageSize, QueryText, QueryWords, row_after
from cadml_hostapp.routes.parts.schemas import PartDetail, PartPage, detail_of, part_answer
from cadml_hostapp.services import ServicesDependency

STAGE = "catalogue"


@route("GET", "/", stage=STAGE)
async def list_parts(
    services: ServicesDependency,
    cursor: Cursor = None,
    limit: PageSize = 100,
    format: QueryText = None,
    material: QueryText = None,
    project: QueryText = None,
    label: QueryText = None,
    text: QueryWords = None,
) -> PartPage:
    """List the parts, oldest first, a page at a time."""
    which = PartFilter(format=format, material=material, project=project, label=label, text=text)
    found = await services.read(
        services.runtime.catalog.parts, which, after=row_after(cursor), limit=limit + 1
    )
    more = len(found) > limit
    return PartPage(
        [part_answer(part) for part in found[:limit]], str(found[limit - 1].row) if more else None
    )


@route("GET", "/{part_id:str}", "DATA_NOT_FOUND", stage=STAGE)
async def show_part(services: ServicesDependency, part_id: KnownId) -> PartDetail:
    """Show a part: what its file holds, and which feature versions it has."""
    return await services.read(detail_of, services.runtime.catalog, part_id)


@route("DELETE", "/{part_id:str}", "DATA_NOT_FOUND", stage=STAGE)
async def delete_part(services: ServicesDependency, part_id: KnownId) -> None:
    """Delete a part, its vectors, and its file where no other part has the same content."""
    await services.write(services.remove_part, part_id)


router = Router("/parts", route_handlers=[list_parts, show_part, delete_part], tags=["parts"])
