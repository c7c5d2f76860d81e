"""What surrounds every request: its id, headers, time limit, log line, metrics, and a check of its query."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, NamedTuple, TypeVar

import structlog
from litestar import Request, Response
from litestar.enums import ScopeType
from litestar.plugins.prometheus import PrometheusConfig, PrometheusMiddleware
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from cadml_core.errors import ERROR_CODES, CadmlError, InvalidInput
from cadml_hostapp.http import errors as http_errors
from cadml_hostapp.http.auth import client_of
from cadml_hostapp.http.rate_limit import RateLimit

access = logging.getLogger("cadml.access")
T = TypeVar("T")

SCRAPE = "/metrics"
"""The address that Prometheus asks."""

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_ALWAYS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]
API_HEADERS = [*_ALWAYS, (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")]
PAGE_HEADERS = [
    *_ALWAYS,
    (b"content-security-policy", b"default-src 'self'; img-src data:; frame-ancestors 'none'"),
]
"""The documentation page loads its own script and style."""


class BodyTimeout(CadmlError, TimeoutError):
    """The client stopped sending in the middle of a body."""

    code = "INPUT_TIMEOUT"


class RequestMiddleware:
    """Wraps the whole application, so that every answer has an id, headers and a line in the log."""

    def __init__(
        self,
        app: ASGIApp,
        direct: Mapping[str, ASGIApp],
        *,
        body_timeout: float,
        pages: str,
        limit: RateLimit | None = None,
    ) -> None:
        """Wrap an application.

        Args:
            app: The application.
            direct: Paths that another application answers first.
            body_timeout: Longest pause between two pieces of a body, in seconds.
            pages: Path prefix of the HTML pages, which need a wider content security policy.
            limit: Counts requests to addresses that there are not; None: there is no limit.
        """
        self._app = app
        self._direct = direct
        self._timeout = body_timeout
        self._pages = pages
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        await _Exchange(self, scope, receive, send).run()

    async def pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer."""
        app = self._direct.get(scope["path"], self._app)
        await app(scope, receive, send)

    def headers(self, path: str) -> list[tuple[bytes, bytes]]:
        """Return the security headers for a path."""
        return PAGE_HEADERS if path.startswith(self._pages) else API_HEADERS

    @property
    def body_timeout(self) -> float:
        """Longest pause between two pieces of a body, in seconds."""
        return self._timeout


class _Exchange:
    """One request and its response."""

    __slots__ = ("_id", "_outer", "_path", "_receive", "_replaced", "_scope", "_send", "_status")

    def __init__(self, outer: RequestMiddleware, scope: Any, receive: Receive, send: Send) -> None:
        self._outer = outer
        self._scope = scope
        self._receive = receive
        self._send = send
        self._id = _request_id(scope)
        self._path = scope["path"]  # kept, because the router rewrites it
        self._status = 0
        self._replaced = False
        """Whether the answer was put aside for that of the rate limit."""

    async def run(self) -> None:
        start = time.perf_counter()
        structlog.contextvars.bind_contextvars(request_id=self._id.decode())
        try:
            await self._outer.pass_on(self._scope, self.receive, self.send)
        # Errors outside the routes (routing, middleware, a slow body) reach no exception handler.
        except Exception as error:
            if self._status:
                raise
            known = error if isinstance(error, CadmlError) else http_errors.internal(error, "request")
            await self._refuse(known)
        finally:
            # Prometheus asks every few seconds; only what goes wrong then is worth a line.
            level = logging.DEBUG if (self._path, self._status) == (SCRAPE, 200) else logging.INFO
            if access.isEnabledFor(level):
                self._log(level, time.perf_counter() - start)
            structlog.contextvars.unbind_contextvars("request_id")

    async def receive(self) -> Any:
        """Receive a piece of the body within the time limit."""
        if self._status:  # after the answer began, this waits for the client to disconnect
            return await self._receive()
        try:
            async with asyncio.timeout(self._outer.body_timeout):
                return await self._receive()
        except TimeoutError:
            seconds = self._outer.body_timeout
            raise BodyTimeout(
                f"no more of the body arrived for {seconds:g} s; send it again",
                allowed=seconds,
            ) from None

    async def send(self, message: Any) -> None:
        """Send a part of the answer; its start gets the security headers and the request id."""
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            if message["status"] in (404, 405) and (error := self._over_limit()):
                await self._refuse(error)
                self._replaced = True
                return
            self._status = message["status"]
            headers = list(message.get("headers", ()))
            own = {name.lower() for name, _ in headers}  # a picture may be kept, and has a policy of its own
            headers += [pair for pair in self._outer.headers(self._path) if pair[0] not in own]
            message["headers"] = [*headers, (b"x-request-id", self._id)]
        await self._send(message)

    def _over_limit(self) -> CadmlError | None:
        """Count a request that no key is charged with; return the error where the client has none left."""
        if self._outer.limit is None or "api_key" in self._scope.get("state", ()):
            return None
        try:
            self._outer.limit.count_refused(client_of(self._scope))
        except CadmlError as error:
            return error
        return None

    async def _refuse(self, error: CadmlError) -> None:
        problem = error.problem()
        body = http_errors.encode(problem)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        for name, value in http_errors.headers_of(problem).items():
            headers.append((name.lower().encode(), value.encode()))
        status = ERROR_CODES[error.code].status
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})

    def _log(self, level: int, seconds: float) -> None:
        client = self._scope.get("client")
        access.log(
            level,
            "request",
            extra={
                "method": self._scope["method"],
                "path": self._path,
                "status": self._status,
                "milliseconds": round(seconds * 1000, 2),
                "client": client[0] if client else None,
                "api_key": self._scope.get("state", {}).get("api_key"),
            },
        )


def _request_id(scope: Any) -> bytes:
    """Return the client's request id where it is safe to log, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return bytes(value)
    return secrets.token_hex(8).encode()


class RequestThreads(ThreadPoolExecutor):
    """Threads that know for which request they work, so that log lines from them carry its id."""

    def submit(self, call: Callable[..., T], /, *arguments: Any, **options: Any) -> Future[T]:
        """Queue a call, with the context of whoever queues it."""
        return super().submit(copy_context().run, partial(call, *arguments, **options))


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
