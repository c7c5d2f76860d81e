"""``/parts``: list, show and delete what is in the catalogue."""

from __future__ import annotations

from typing import Annotated

from litestar import Router
from litestar.params import Parameter

from cadml_core.catalog.records import PartFilter
from cadml_core.catalog.store import Catalog
from cadml_core.errors import InvalidInput
from cadml_hostapp.host import ServicesDependency
from cadml_hostapp.routes.declare import route
from cadml_hostapp.schemas import PageSize, PartDetail, PartPage, Text, part_answer, part_detail

STAGE = "catalogue"
Cursor = Annotated[
    str | None,
    Parameter(description="`next_cursor` of the page before.", pattern=r"^[0-9]{1,18}\Z", required=False),
]


@route("GET", "/", stage=STAGE)
async def list_parts(
    services: ServicesDependency,
    cursor: Cursor = None,
    limit: PageSize = 100,
    format: Text | None = None,
    material: Text | None = None,
    project: Text | None = None,
    label: Text | None = None,
) -> PartPage:
    """List the parts, oldest first, a page at a time."""
    which = PartFilter(format=format, material=material, project=project, label=label)
    found = await services.read(services.runtime.catalog.parts, which, after=after(cursor), limit=limit + 1)
    more = len(found) > limit
    return PartPage(
        [part_answer(part) for part in found[:limit]], str(found[limit - 1].row) if more else None
    )


@route("GET", "/{part_id:str}", "DATA_NOT_FOUND", stage=STAGE)
async def show_part(services: ServicesDependency, part_id: str) -> PartDetail:
    """Show a part: what its file holds, and which feature versions it has."""
    return await services.read(_detail, services.runtime.catalog, part_id)


@route("DELETE", "/{part_id:str}", "DATA_NOT_FOUND", stage=STAGE)
async def delete_part(services: ServicesDependency, part_id: str) -> None:
    """Delete a part, its vectors, and its file where no other part has the same content."""
    await services.write(services.remove_part, part_id)


def _detail(catalog: Catalog, part_id: str) -> PartDetail:
    part = catalog.part(part_id)
    content = catalog.contents([part.sha256]).get(part.sha256) if part.sha256 else None
    vectors = catalog.vectors_of([part.row]).get(part.row, {})
    return part_detail(part, content.document if content else None, vectors)


def after(cursor: str | None) -> int:
    """Return the row number that a cursor stands for.

    Raises:
        InvalidInput: It is none that a page gave.
    """
    if cursor is None:
        return 0
    if not cursor.isdecimal():
        raise InvalidInput(f"cursor: {cursor!r} is not one that a page gave", stage=STAGE, field="cursor")
    return int(cursor)


router = Router("/parts", route_handlers=[list_parts, show_part, delete_part], tags=["parts"])
