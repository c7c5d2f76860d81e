"""A rate limit for each API key."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from litestar import Request
from litestar.middleware import DefineMiddleware
from litestar.middleware.rate_limit import CacheObject, RateLimitConfig, RateLimitMiddleware
from litestar.stores.base import Store

_MINUTE = 60


class RateLimit:
    """How many requests each API key has made in its present minute. Used on one event loop.

    Litestar keeps a time stamp for each request of the minute and rewrites the whole list with each; a count
    does the same in constant time.

    Args:
        per_minute: Most requests of one key in a minute, over all server processes.
        processes: How many of those there are; each grants its share.
    """

    def __init__(self, per_minute: int, processes: int) -> None:
        self.most = max(1, per_minute // processes)
        self._windows: dict[str, tuple[int, int]] = {}

    def window(self, key: str) -> tuple[int, int]:
        """Return how many requests a key has made in its minute, and when (epoch seconds) that ends."""
        now = int(time.time())
        count, reset = self._windows.get(key, (0, 0))
        return (count, reset) if reset > now else (0, now + _MINUTE)

    def exhausted(self, key: str) -> bool:
        """Tell whether a key has no request left."""
        return self.window(key)[0] >= self.most

    def count(self, key: str) -> list[tuple[bytes, bytes]]:
        """Count one request, and return the headers that say what is left."""
        count, reset = self.window(key)
        self._windows[key] = (count + 1, reset)
        told = {
            "RateLimit-Policy": f"{self.most}; w={_MINUTE}",
            "RateLimit-Limit": self.most,
            "RateLimit-Remaining": max(0, self.most - count - 1),
            "RateLimit-Reset": reset - int(time.time()),
        }
        return [(name.lower().encode(), str(value).encode()) for name, value in told.items()]


@dataclass
class _Config(RateLimitConfig):
    """Adds the counts, which all routes of one application share."""

    counts: RateLimit = field(default_factory=lambda: RateLimit(1, 1))


class KeyRateLimit(RateLimitMiddleware):
    """Litestar's rate limit by API key, on the counts of a ``RateLimit``."""

    config: _Config

    def cache_key_from_request(self, request: Request[Any, Any, Any]) -> str:
        """Return the API key's short name."""
        return self.config.identifier_for_request(request)

    async def retrieve_cached_history(self, key: str, store: Store) -> CacheObject:  # noqa: ARG002
        """Return the count as a history of that length."""
        count, reset = self.config.counts.window(key)
        return CacheObject(history=range(count), reset=reset)  # type: ignore[arg-type]

    async def set_cached_history(
        self,
        key: str,
        cache_object: CacheObject,
        store: Store,  # noqa: ARG002
    ) -> None:
        """Count one request more."""
        self.config.counts.count(key)
        cache_object.history = range(len(cache_object.history) + 1)  # type: ignore[assignment]


def rate_limit(limit: RateLimit) -> DefineMiddleware:
    """Return the middleware that refuses what a limit does not grant."""
    config = _Config(
        rate_limit=("minute", limit.most),
        identifier_for_request=lambda request: str(request.scope["state"].get("api_key")),
        check_throttle_handler=_has_key,
        counts=limit,
    )
    return DefineMiddleware(KeyRateLimit, config=config)


async def _has_key(request: Request[Any, Any, Any]) -> bool:
    return "api_key" in request.scope["state"]
