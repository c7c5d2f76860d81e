"""Routes that plugins add, each below its own path; a plugin's mistake never stops the server."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from litestar import Litestar, Router
from litestar.di import Provide

from cadml_core.contracts.host import HostRoutes

log = logging.getLogger(__name__)


def plugin_routers(found: Mapping[str, HostRoutes], dependencies: Mapping[str, Provide]) -> list[Router]:
    """Return a router for each plugin's routes; those that Litestar rejects are logged and left out."""
    routers = []
    for name, routes in found.items():
        try:
            Litestar(
                [_router(name, routes)],
                dependencies=dict(dependencies),
                openapi_config=None,
                logging_config=None,
            )
        # Third-party handlers may be wrong in any way that Litestar detects. A trial application finds out
        # here, because in the real one the first bad handler would stop the start.
        except Exception:
            log.exception("the routes of plugin %s cannot be used", name)
        else:
            routers.append(_router(name, routes))
    return routers


def _router(name: str, routes: HostRoutes) -> Router:
    return Router(f"/plugins/{name}", route_handlers=list(routes.handlers), tags=[name])
