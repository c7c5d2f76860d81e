"""Litestar's HTTP metrics, with the collectors of each route looked up once instead of per request."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from litestar.enums import ScopeType
from litestar.plugins.prometheus import PrometheusConfig, PrometheusMiddleware
from litestar.types import Message, Receive, Scope, Send


class _Children(NamedTuple):
    """The collectors of one method, path and status."""

    running: Any
    count: Any
    seconds: Any
    errors: Any


class HttpMetrics(PrometheusMiddleware):
    """Records what Litestar's middleware records, in a fraction of its time."""

    def __init__(self, app: Any, config: PrometheusConfig) -> None:
        super().__init__(app, config)
        self._children: dict[tuple[str, str, int], _Children] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record one request."""
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        status, start, taken = 200, time.perf_counter(), 0.0

        async def recording(message: Message) -> None:
            nonlocal status, taken
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                taken = time.perf_counter() - start
            await send(message)

        path = scope["path_template"]
        running = self._of(scope["method"], path, 200).running
        running.inc()
        try:
            await self.app(scope, receive, recording)
        finally:
            running.dec()
            self.record(scope["method"], path, status, taken)

    def record(self, method: str, path: str, status: int, seconds: float) -> None:
        """Record a request that was answered."""
        children = self._of(method, path, status)
        children.count.inc()
        children.seconds.observe(seconds)
        if status >= 500:
            children.errors.inc()

    def _of(self, method: str, path: str, status: int) -> _Children:
        key = (method, path, status)
        if key not in self._children:
            labels: dict[str, str | int | float] = {
                "method": method,
                "path": path,
                "status_code": status,
                "app_name": self._config.app_name,
            }
            makers = (
                self.requests_in_progress,
                self.request_count,
                self.request_time,
                self.requests_error_count,
            )
            self._children[key] = _Children(*(make(labels).labels(*labels.values()) for make in makers))
        return self._children[key]
