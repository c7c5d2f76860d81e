"""Routes that plugins add: each below its own address, and none of them can keep the server from starting."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from litestar import Litestar, Router
from litestar.di import Provide

from cadml_core.contracts.host import HostRoutes

log = logging.getLogger(__name__)


def plugin_routers(found: Mapping[str, HostRoutes], dependencies: Mapping[str, Provide]) -> list[Router]:
    """Return a router for each plugin's routes; those that Litestar refuses are left out, and logged."""
    routers = []
    for name, routes in found.items():
        try:
            Litestar(
                [_router(name, routes)],
                dependencies=dict(dependencies),
                openapi_config=None,
                logging_config=None,
            )
        # A stranger's handlers may be wrong in any way that Litestar finds.
        except Exception:
            log.exception("the routes %s of a plugin cannot be used", name)
        else:
            routers.append(_router(name, routes))
    return routers


def _router(name: str, routes: HostRoutes) -> Router:
    return Router(f"/plugins/{name}", route_handlers=list(routes.handlers), tags=[name])
