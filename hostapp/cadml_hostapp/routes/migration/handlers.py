"""Handlers of ``/vectors/migrate``."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Router
from litestar.params import QueryParameter

from cadml_core.migration.migrator import LARGEST_PREVIEW, MigrationStatus
from cadml_core.migration.preview import MigrationPreview
from cadml_hostapp.http.auth import for_admin
from cadml_hostapp.routes.declare import NAMED, json_body, route
from cadml_hostapp.routes.migration.schemas import MigrationReportForAdmin, MigrationRequest
from cadml_hostapp.services import ServicesDependency

STAGE = "migration"
Target = Annotated[str, QueryParameter(max_length=1000, description="The feature version to move to.")]
Sample = Annotated[int, QueryParameter(ge=1, le=LARGEST_PREVIEW, description="Most vectors to look at.")]


@route("GET", "/preview", *NAMED, stage=STAGE)
async def preview(services: ServicesDependency, to_version: Target, limit: Sample = 100) -> MigrationPreview:
    """Say what a migration would do, from a sample spread over the catalogue."""
    return await services.read(services.runtime.migrator.preview, to_version, limit=limit)


@route(
    "POST",
    "/",
    *NAMED,
    "MIGRATION_CONFLICT",
    stage=STAGE,
    admin=True,
    body=MigrationRequest,
    status_code=200,
)
async def migrate(request: Request[Any, Any, Any], services: ServicesDependency) -> MigrationReportForAdmin:
    """Give every part that lacks it a vector of another feature version. Resumable: ask again."""
    body = await json_body(request, MigrationRequest)
    report = await services.write(
        services.runtime.migrator.run, body.to_version, ids=body.ids, dry_run=body.dry_run
    )
    return for_admin(request, MigrationReportForAdmin, report)


@route("GET", "/status", stage=STAGE)
async def migration_status(services: ServicesDependency) -> MigrationStatus:
    """Show what runs now, the last ten migrations, and how many vectors each version has."""
    return await services.read(services.runtime.migrator.status)


router = Router("/vectors/migrate", route_handlers=[preview, migrate, migration_status], tags=["migration"])
