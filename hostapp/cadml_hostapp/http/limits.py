"""Limits on every request: a rate for each API key, and no unknown query parameters."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from litestar import Request, Response
from litestar.middleware import DefineMiddleware
from litestar.middleware.rate_limit import CacheObject, RateLimitConfig, RateLimitMiddleware
from litestar.routes import HTTPRoute
from litestar.stores.base import Store

from cadml_core.errors import InvalidInput

_MINUTE = 60


@dataclass
class _Windows(RateLimitConfig):
    """Adds the counts by API key, which all routes of one application share."""

    windows: dict[str, tuple[int, int]] = field(default_factory=dict)


class KeyRateLimit(RateLimitMiddleware):
    """Litestar's rate limit by API key, over a fixed minute.

    Litestar keeps a time stamp for each request of the minute and rewrites the whole list with each;
    a count does the same in constant time.
    """

    config: _Windows

    async def retrieve_cached_history(self, key: str, store: Store) -> CacheObject:  # noqa: ARG002
        """Return the count as a history of that length."""
        now = int(time.time())
        count, reset = self.config.windows.get(key, (0, 0))
        if reset <= now:
            count, reset = 0, now + _MINUTE
        return CacheObject(history=range(count), reset=reset)  # type: ignore[arg-type]

    async def set_cached_history(
        self,
        key: str,
        cache_object: CacheObject,
        store: Store,  # noqa: ARG002
    ) -> None:
        """Count one request more."""
        count = len(cache_object.history) + 1
        cache_object.history = range(count)  # type: ignore[assignment]
        self.config.windows[key] = (count, cache_object.reset)


def rate_limit(per_minute: int, processes: int) -> DefineMiddleware:
    """Return the middleware; each of several server processes allows its share of the rate."""
    config = _Windows(
        rate_limit=("minute", max(1, per_minute // processes)),
        identifier_for_request=lambda request: str(request.scope["state"].get("api_key")),
        check_throttle_handler=_has_key,
    )
    return DefineMiddleware(KeyRateLimit, config=config)


async def _has_key(request: Request[Any, Any, Any]) -> bool:
    return "api_key" in request.scope["state"]


async def before_request(request: Request[Any, Any, Any]) -> Response[None] | None:
    """Refuse unknown query parameters; answer OPTIONS.

    Litestar's own answer to OPTIONS forgets methods where a path has several handlers.

    Raises:
        InvalidInput: As ``known_query_only``.
    """
    if request.scope["method"] == "OPTIONS":
        here = request.scope["path_template"]
        routes = (route for route in request.app.routes if isinstance(route, HTTPRoute))
        methods = next((route.methods for route in routes if route.path_format == here), ())
        return Response(None, status_code=204, headers={"Allow": ", ".join(sorted(methods))})
    known_query_only(request)
    return None


def known_query_only(request: Request[Any, Any, Any]) -> None:
    """Refuse a query parameter that the route does not have: a misspelt filter would select everything.

    Raises:
        InvalidInput: Names the parameter and those that the route has.
    """
    if not request.scope["query_string"]:
        return
    handler = request.route_handler
    known = {
        name
        for name in handler.parsed_fn_signature.parameters
        if name not in ("request", "services", "runtime") and name not in request.scope["path_params"]
    }
    for name in request.query_params:
        if name not in known:
            told = ", ".join(sorted(known)) or "none"
            raise InvalidInput(
                f"unknown query parameter {name!r}; allowed: {told}",
                stage=str(handler.opt.get("stage", "request")),
                field=name,
            )
