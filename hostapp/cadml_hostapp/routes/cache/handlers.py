"""Handlers of ``/health/features/cache``, which are also at ``/features/cache``."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Router
from litestar.params import QueryParameter

from cadml_core.feature_cache.advice import Recommendation
from cadml_core.intake.cache_answers import CacheState, PrewarmReport
from cadml_hostapp.http.auth import for_admin
from cadml_hostapp.routes.cache.schemas import AppliedForAdmin, RolledBackForAdmin
from cadml_hostapp.routes.declare import route
from cadml_hostapp.services import ServicesDependency

STAGE = "cache_tuning"

DryRun = Annotated[bool, QueryParameter(description="Show what would change, and change nothing.")]
Capacity = Annotated[
    int | None,
    QueryParameter(
        ge=1, le=10_000_000, description="Vectors that each process keeps; as recommended by default."
    ),
]
TimeToLive = Annotated[
    int | None,
    QueryParameter(
        ge=0, le=31_536_000, description="Seconds that a vector stays; 0: no limit; as now by default."
    ),
]


def _paths(end: str) -> list[str]:
    """Return a path and its alias."""
    return [f"/health/features/cache{end}", f"/features/cache{end}"]


@route("GET", _paths(""), stage=STAGE)
async def cache_state(services: ServicesDependency) -> CacheState:
    """Show how full the feature cache is and how often it answers, over all server processes."""
    return await services.read(services.runtime.cache.state)


@route("GET", _paths("/tuning"), stage=STAGE)
async def cache_tuning(services: ServicesDependency) -> Recommendation:
    """Recommend a size for the feature cache, with the reasons."""
    return await services.read(services.runtime.cache.recommendation)


@route("PATCH", _paths("/apply"), "CACHE_TUNING_SNAPSHOT_ACTIVE", stage=STAGE, admin=True)
async def apply_cache(
    request: Request[Any, Any, Any],
    services: ServicesDependency,
    dry_run: DryRun = False,
    capacity: Capacity = None,
    ttl_seconds: TimeToLive = None,
) -> AppliedForAdmin:
    """Set the size of the feature cache on every server process, the recommended one by default.

    For `CACHE_ROLLBACK_WINDOW_SECONDS` it can be rolled back, and no other size can be applied.
    """
    control = services.runtime.cache
    applied = await services.write(control.apply, capacity=capacity, ttl_seconds=ttl_seconds, dry_run=dry_run)
    return for_admin(request, AppliedForAdmin, applied)


@route(
    "POST",
    _paths("/rollback"),
    "CACHE_TUNING_NO_SNAPSHOT",
    "CACHE_TUNING_ROLLBACK_EXPIRED",
    stage=STAGE,
    admin=True,
    status_code=200,
)
async def rollback_cache(request: Request[Any, Any, Any], services: ServicesDependency) -> RolledBackForAdmin:
    """Restore the size that the feature cache had before the last apply, on every server process."""
    restored = await services.write(services.runtime.cache.rollback)
    return for_admin(request, RolledBackForAdmin, restored)


@route("POST", _paths("/prewarm"), stage=STAGE, status_code=200)
async def prewarm_cache(services: ServicesDependency) -> PrewarmReport:
    """Load what was asked for lately from the catalogue into the feature cache of every server process.

    The figures are of the process that answers; the others follow within a second or two.
    """
    return await services.write(services.runtime.cache.prewarm)


router = Router(
    "/",
    route_handlers=[cache_state, cache_tuning, apply_cache, rollback_cache, prewarm_cache],
    tags=["cache"],
)
