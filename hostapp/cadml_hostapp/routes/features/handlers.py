"""Handlers of ``/features``."""

from __future__ import annotations

from litestar import Router

from cadml_core.documents.features import FeatureSlot
from cadml_core.search.differences import FeatureDifference, feature_difference
from cadml_hostapp.routes.declare import NAMED, route
from cadml_hostapp.routes.features.schemas import FeatureVersionAnswer
from cadml_hostapp.routes.parameters import KnownIdQuery, QueryVersion, feature_named
from cadml_hostapp.services import ServicesDependency

STAGE = "features"


@route("GET", "/versions", stage=STAGE)
async def versions(services: ServicesDependency) -> list[FeatureVersionAnswer]:
    """List the installed feature versions."""
    return [
        FeatureVersionAnswer(
            name=name,
            dimension=len(feature.slots),
            metric=feature.metric,
            needs_mesh=feature.needs_mesh,
            default=feature is services.runtime.feature,
        )
        for name, feature in services.runtime.registry.features.items()
    ]


@route("GET", "/slots", *NAMED, stage=STAGE)
async def slots(services: ServicesDependency, version: QueryVersion = None) -> list[FeatureSlot]:
    """List the slots of a feature version, by default the configured one, in stored order."""
    return list(feature_named(services.runtime, version, stage=STAGE).slots)


@route("GET", "/diff", "DATA_NOT_FOUND", stage=STAGE)
async def diff(services: ServicesDependency, id_a: KnownIdQuery, id_b: KnownIdQuery) -> FeatureDifference:
    """Compare two parts slot by slot."""
    runtime = services.runtime
    return await services.read(feature_difference, runtime.catalog, runtime.feature, id_a, id_b)


router = Router("/features", route_handlers=[versions, slots, diff], tags=["features"])
