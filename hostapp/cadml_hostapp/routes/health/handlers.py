"""Handlers of ``/health``, ``/ready`` and ``/metrics``."""

from __future__ import annotations

import time
from importlib.metadata import version

from litestar import Response, Router, get
from prometheus_client import CONTENT_TYPE_LATEST

from cadml_core.errors import CadmlError
from cadml_hostapp.http.middleware import SCRAPE
from cadml_hostapp.http.scraping import exposition
from cadml_hostapp.routes.declare import route
from cadml_hostapp.routes.health.schemas import HealthAnswer, ModelHealth, ReadyAnswer
from cadml_hostapp.services import Services, ServicesDependency

STAGE = "health"


async def _health(services: Services) -> HealthAnswer:
    settings = services.runtime.settings
    catalogue = await services.catalogue_state()
    degraded = services.runtime.search.indexes.health().degraded
    return HealthAnswer(
        status="unavailable" if catalogue != "ok" else "degraded" if degraded else "ok",
        catalogue=catalogue,
        version=version("cadml"),
        feature_version=settings.feature_version,
        vector_backend=settings.vector_store_backend,
        uptime_seconds=round(time.monotonic() - services.started, 3),
        model=_model(services),
        sandbox=services.sandbox,
    )


def _model(services: Services) -> ModelHealth:
    state = services.runtime.models.registry.version()
    return ModelHealth(
        process=state.process,
        version=state.current.version if state.current else None,
        failures=state.failures,
        quarantined=len(state.quarantined),
    )


@route("GET", "/health", stage=STAGE, public=True, operation_id="health")
async def health(services: ServicesDependency) -> HealthAnswer:
    """Report that the process runs, whether it reaches its catalogue, and what it is configured for."""
    return await _health(services)


@route("GET", "/health", stage=STAGE, public=True, operation_id="apiHealth", tags=["health"])
async def api_health(services: ServicesDependency) -> HealthAnswer:
    """Report that the process runs, whether it reaches its catalogue, and what it is configured for."""
    return await _health(services)


@route("GET", "/ready", "NOT_READY", stage=STAGE, public=True)
async def ready(services: ServicesDependency) -> ReadyAnswer:
    """Report whether the server can work: the catalogue answers and the index is built."""
    checks = {"catalogue": await services.catalogue_state()}
    checks["index"] = "ok" if services.warm else "is being built"
    if any(found != "ok" for found in checks.values()):
        told = ", ".join(f"{name}: {found}" for name, found in checks.items() if found != "ok")
        raise CadmlError(f"not ready; {told}", code="NOT_READY", **checks)
    return ReadyAnswer(ready=True, checks=checks)


@get(SCRAPE, include_in_schema=False, sync_to_thread=True)
def metrics() -> Response[bytes]:
    """Return the metrics of all server processes, for Prometheus."""
    return Response(exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})


root = Router("/", route_handlers=[health, ready, metrics], tags=["health"])
