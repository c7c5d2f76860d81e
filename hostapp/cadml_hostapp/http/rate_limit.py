"""A rate limit for each API key, and for each client without one."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

from litestar import Request
from litestar.middleware import DefineMiddleware
from litestar.middleware.rate_limit import CacheObject, RateLimitConfig, RateLimitMiddleware
from litestar.stores.base import Store

from cadml_core.errors import CadmlError

_MINUTE = 60
_MOST_COUNTED = 4096
"""Keys and clients whose counts are kept; when there are more, those go whose minute is over."""


class RateLimit:
    """How many requests each API key, and each client without one, has made in its present minute.

    Used on one event loop. What no key is charged with (wrong keys, unknown addresses, wrong methods) is
    charged to the client's address. A client that has used up its share gets RATE_LIMITED for such requests
    only: others may share its address, and with a right key they go on.

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

    def count_refused(self, client: str) -> None:
        """Count a request that no key is charged with.

        Raises:
            CadmlError: RATE_LIMITED where the client has none left.
        """
        name = f"client {client}"
        if self.exhausted(name):
            wait = self.window(name)[1] - time.time()
            raise limited("too many requests without a right API key, or to unknown addresses", wait)
        self.count(name)

    def count(self, key: str) -> list[tuple[bytes, bytes]]:
        """Count one request, and return the headers that say what is left."""
        count, reset = self.window(key)
        self._windows[key] = (count + 1, reset)
        if len(self._windows) > _MOST_COUNTED:
            self._forget_old(reset - _MINUTE)
        told = {
            "RateLimit-Policy": f"{self.most}; w={_MINUTE}",
            "RateLimit-Limit": self.most,
            "RateLimit-Remaining": max(0, self.most - count - 1),
            "RateLimit-Reset": reset - int(time.time()),
        }
        return [(name.lower().encode(), str(value).encode()) for name, value in told.items()]

    def _forget_old(self, now: int) -> None:
        """Drop windows that are over; half of the others, the oldest, where that is not enough."""
        self._windows = {key: window for key, window in self._windows.items() if window[1] > now}
        for key in list(self._windows)[: max(0, len(self._windows) - _MOST_COUNTED // 2)]:
            del self._windows[key]


def limited(reason: str, wait: float) -> CadmlError:
    """Return the error of a client that must wait so many seconds."""
    seconds = max(1, math.ceil(wait))
    return CadmlError(f"{reason}; wait {seconds} s", code="RATE_LIMITED", retry_after_seconds=seconds)


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
