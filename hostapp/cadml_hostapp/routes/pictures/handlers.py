"""Handlers of pictures and models."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from litestar import Request, Response, Router
from litestar.params import QueryParameter

from cadml_core.contracts.pictures import Axes
from cadml_core.documents.drawn import GLB, Drawn
from cadml_core.errors import CadmlError, InvalidInput
from cadml_core.intake.drawings import STAGE, shown
from cadml_core.search.comparison import stored
from cadml_core.search.deviation import deviation_model
from cadml_hostapp.http.uploads import Form, FormReader
from cadml_hostapp.routes.declare import READ_ERRORS, route
from cadml_hostapp.routes.parameters import KnownId
from cadml_hostapp.routes.pictures.answers import NOT_KEPT, answer
from cadml_hostapp.services import Services, ServicesDependency

PictureAxes = Annotated[
    Axes, QueryParameter(description="`own`: those of the part, so that it looks alike however it is turned.")
]
Against = Annotated[
    str | None,
    QueryParameter(
        max_length=1000, pattern=r"^[^\x00]+$", description="Id of a part to measure the distance from."
    ),
]
_FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "format": "binary", "description": "The CAD file."}},
    "additionalProperties": False,
}


@route("GET", "/parts/{part_id:str}/picture", "DATA_NOT_FOUND", *READ_ERRORS, stage=STAGE)
async def part_picture(
    request: Request[Any, Any, Any], services: ServicesDependency, part_id: KnownId, axes: PictureAxes = "own"
) -> Response[bytes]:
    """Return the picture of a part, SVG or PNG.

    Along its own axes it was drawn when the part was stored; where there is none yet, it is drawn now from
    the kept file. An SVG holds shapes only.
    """
    return answer(request, await services.write(services.runtime.drawings.of_part, part_id, axes))


@route("GET", "/parts/{part_id:str}/model.glb", "DATA_NOT_FOUND", *READ_ERRORS, stage=STAGE)
async def part_model(
    request: Request[Any, Any, Any],
    services: ServicesDependency,
    part_id: KnownId,
    against: Against = None,
) -> Response[bytes]:
    """Return the part as binary glTF, facets and feature edges; made when it is first wanted.

    With `against`, coloured by its distance from that part after both were aligned: `asset.extras` has
    `largest_mm`, the largest distance between both, and `scale_mm`, what the last colour stands for.
    """
    if against is not None:
        return answer(request, await services.read(_compared, services, part_id, against), NOT_KEPT)
    return answer(request, await services.write(services.runtime.drawings.of_part, part_id, "model"))


def _compared(services: Services, part_id: str, other: str) -> Drawn:
    intake = services.runtime.intake
    a, b = (stored(intake, one) for one in (part_id, other))
    return Drawn(kind="model", maker="", media_type=GLB, data=deviation_model(intake, a, b).data)


@route(
    "POST",
    "/pictures",
    "DATA_NOT_FOUND",
    *READ_ERRORS,
    stage=STAGE,
    form=_FORM,
    status_code=200,
    request_max_body_size=None,
)
async def file_picture(
    request: Request[Any, Any, Any], services: ServicesDependency, axes: PictureAxes = "own"
) -> Response[bytes]:
    """Return the picture of a file, SVG or PNG. Stores nothing."""
    runtime = services.runtime
    async with Form(runtime.blobs) as form:
        await FormReader(
            runtime.blobs,
            text_fields=frozenset(),
            file_fields=frozenset({"file"}),
            max_files=1,
            max_bytes=services.max_file_bytes,
            stage=STAGE,
        ).read(request, form)
        if not form.files:
            raise InvalidInput("the field 'file' is missing", stage=STAGE, field="file")
        file = form.files[0]
        try:
            reading = await asyncio.wrap_future(runtime.drawings.of_file(file.source(None), axes))
        except CadmlError as error:
            file.name_in(error)
            raise
    return answer(request, shown(reading.drawn[0]), NOT_KEPT)


router = Router("/", route_handlers=[part_picture, part_model, file_picture], tags=["pictures"])
