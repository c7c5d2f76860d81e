"""Handlers of ``/health/faiss`` and ``/vectors/backend``."""

from __future__ import annotations

from typing import Any

from litestar import Request, Router

from cadml_core.search.index.health import IndexHealth
from cadml_hostapp.http.auth import for_admin
from cadml_hostapp.routes.declare import json_body, route
from cadml_hostapp.routes.index.schemas import BackendRequest, IndexHealthForAdmin
from cadml_hostapp.services import ServicesDependency

STAGE = "faiss_recovery"


@route("GET", "/health", stage=STAGE)
async def faiss_health(services: ServicesDependency) -> IndexHealth:
    """Report whether the chosen index answers; if not, since when, and when it is tried again."""
    return await services.read(services.runtime.search.indexes.health)


@route(
    "POST",
    "/recover",
    "FAISS_RECOVERY_CONFLICT",
    "PLUGIN_UNAVAILABLE",
    stage=STAGE,
    admin=True,
    status_code=200,
)
async def recover(request: Request[Any, Any, Any], services: ServicesDependency) -> IndexHealthForAdmin:
    """Rebuild the chosen index from the catalogue, verify it, and switch to it.

    The other server processes do the same within seconds.
    """
    health = await services.write(services.runtime.indexes.recover)
    return for_admin(request, IndexHealthForAdmin, health)


@route(
    "POST",
    "/backend/reload",
    "DATA_NOT_FOUND",
    "FAISS_RECOVERY_CONFLICT",
    "PLUGIN_UNAVAILABLE",
    stage="vectors",
    admin=True,
    body=BackendRequest,
    status_code=200,
)
async def reload_backend(
    request: Request[Any, Any, Any], services: ServicesDependency
) -> IndexHealthForAdmin:
    """Switch to another vector backend until the next start, or rebuild the one in use.

    The other server processes do the same within seconds.
    """
    body = await json_body(request, BackendRequest)
    health = await services.write(services.runtime.indexes.recover, body.backend)
    return for_admin(request, IndexHealthForAdmin, health)


router = Router("/health/faiss", route_handlers=[faiss_health, recover], tags=["health"])
