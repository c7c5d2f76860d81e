"""uvicorn's protocol within limits, and with our errors for what it refuses.

The parser collects a header until it is complete, however long it is, and nobody needs a key for that. So a
connection hands it no more bytes than the limits allow, and one timer for all connections ends those that
take too long. Of a request within the limits it takes a few additions and comparisons.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import Any

import httptools
from litestar import Litestar
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from cadml_core.errors import CadmlError
from cadml_core.metrics import refused_connections_total
from cadml_hostapp.http import errors as http_errors
from cadml_hostapp.http.auth import client_name
from cadml_hostapp.http.connection_limits import ConnectionTable

_REASONS = {408: "Request Timeout", 422: "Unprocessable Entity", 431: "Request Header Fields Too Large"}
_LINGER = 1.0
"""How long a refused connection stays open, so that a client that is still sending gets the answer."""
_EARLY = 10.0
"""How long a client may go on with a body after the answer to it."""
_MOST_LINGERING = 64
"""So many refused connections may stay open; more are cut off without an answer."""


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's protocol within limits. What it refuses, it answers in our error shape."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        table: ConnectionTable,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._table = table
        self._limits = table.limits
        self._peer: str | None = None
        self._ended = False
        """Whether it was refused: what still arrives is thrown away."""
        self._lingers = False
        self._refusal: CadmlError | None = None
        """Set within the parser, which passes no exceptions of others on."""
        self._requests = 0
        self.deadline = self.loop.time() + self._limits.header_seconds
        """When it is overdue, in the loop's time."""
        self._in_body = False
        self._completed = False
        """Whether a message ended in the bytes just parsed."""
        self._in_headers = True
        """Whether the next bytes belong to a header, a trailer, or the line above them."""
        self._pending = 0
        """Bytes since the last header block, or since the last piece of a body."""
        self._line = 0
        """Bytes of the line that is not complete."""
        self._carried = 0
        """Of the pieces before, bytes that may belong to the next header."""
        self._longest = 0
        """No header line that is complete has more bytes than this."""

    # Connections

    def shutdown(self) -> None:
        """Finish what was begun when the server stops, but for the loading of a model, which may hang."""
        super().shutdown()
        app = self.config.loaded_app
        while not isinstance(app, Litestar):  # uvicorn's own middleware
            app = app.app
        app.state.services.stop_loading()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or refuse it where there are too many."""
        super().connection_made(transport)
        self._peer = None if self.client is None else client_name(self.client[0])
        refusal = self._table.admit(self, self._peer)
        if refusal is not None:
            self._refuse(refusal)

    def connection_lost(self, exc: Exception | None) -> None:
        """Release its place."""
        self._table.forget(self, self._peer)
        if self._lingers:
            self._table.lingering -= 1
        self._ended = True
        super().connection_lost(exc)

    def overdue(self) -> None:
        """End the connection, which took longer than it may."""
        limits = self._limits
        if self._in_body and self.cycle.response_started:
            self.transport.abort()
        elif self._in_body:
            self._refuse(
                CadmlError(
                    f"the body was not complete after {limits.body_seconds:g} s (BODY_TIMEOUT_SECONDS)",
                    code="INPUT_TIMEOUT",
                    allowed=limits.body_seconds,
                )
            )
        elif self._pending:
            self._refuse(
                CadmlError(
                    f"no complete headers after {limits.header_seconds:g} s (HEADER_TIMEOUT_SECONDS)",
                    code="HEADER_TIMEOUT",
                    allowed=limits.header_seconds,
                )
            )
        else:
            self._ended = True
            self.transport.close()  # it never said anything

    # Bytes

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, of a header never more than is allowed."""
        if self._ended:
            return
        self._unset_keepalive_if_required()
        try:
            while data and not self._ended:
                data = self._fed(data)
        except httptools.HttpParserUpgrade:
            pass  # as uvicorn without WebSockets: the request is answered as if it asked for none
        except httptools.HttpParserError as error:
            self._refuse(
                self._refusal
                or CadmlError(
                    f"not a valid HTTP request: {error.__context__ or error}",
                    code="INPUT_VALIDATION_FAILED",
                    stage="request",
                )
            )

    def _fed(self, data: bytes) -> bytes:
        """Give the parser what it may get at once; return the rest."""
        if not self._in_headers:
            self._longest = self._carried + len(data)
            self.parser.feed_data(data)
            return b""
        rest = b""
        if self._pending + len(data) > self._limits.block:
            room = self._limits.block - self._pending
            data, rest = data[:room], data[room:]
        self._pending += len(data)
        self._longest = self._carried + self._pending
        self._completed = False
        self.parser.feed_data(data)
        if self._in_headers and not self._completed:
            self._measure(data)
        return rest

    def _measure(self, piece: bytes) -> None:
        """Begin to wait for the rest of a header; refuse one of which there is too much already."""
        if self.deadline == math.inf:
            self.deadline = self.loop.time() + self._limits.header_seconds
        end = piece.rfind(b"\n")
        self._line = self._line + len(piece) if end < 0 else len(piece) - end - 1
        if self._line > self._limits.line:
            self._refuse(_too_large("HEADER_LINE_MAX_BYTES", self._limits.line))
        elif self.headers is not None and len(self.headers) > self._limits.headers:
            self._refuse(_too_large("HEADERS_MAX_COUNT", self._limits.headers))
        elif self._pending >= self._limits.block:
            self._refuse(_too_large("HEADERS_MAX_BYTES", self._limits.block))

    def _check_headers(self) -> None:
        """Refuse complete headers beyond the limits; an exception is how to stop the parser."""
        limits = self._limits
        if len(self.headers) > limits.headers:
            self._refusal = _too_large("HEADERS_MAX_COUNT", limits.headers)
        elif self._longest > limits.line:  # else no line can be longer
            lines = [len(self.url), *(len(name) + len(value) + 4 for name, value in self.headers)]
            if max(lines) > limits.line:
                self._refusal = _too_large("HEADER_LINE_MAX_BYTES", limits.line)
            elif sum(lines) > limits.block:
                self._refusal = _too_large("HEADERS_MAX_BYTES", limits.block)
        if self._refusal is not None:
            raise ValueError(self._refusal.message)

    # Calls of the parser

    def on_headers_complete(self) -> None:
        """Start to answer; the last request of a connection closes it."""
        self._check_headers()
        self._in_headers, self._in_body, self._pending, self._line = False, True, 0, 0
        self._carried = 0
        self.deadline = self.loop.time() + self._limits.body_seconds
        self._requests += 1
        super().on_headers_complete()
        if self._requests >= self._limits.requests:
            self.cycle.keep_alive = False

    def on_chunk_header(self) -> None:
        """Begin a piece of the body, or the trailer after the last one."""
        self._in_headers, self._pending, self._line = True, 0, 0

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._in_headers = False
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete; the next one may come."""
        self._in_headers, self._in_body, self._completed = True, False, True
        self._pending = self._line = 0
        self._carried = self._longest
        self.deadline = math.inf
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait no longer than a little for the rest of a body that was answered already."""
        if self._in_body:
            self.deadline = min(self.deadline, self.loop.time() + _EARLY)
        super().on_response_complete()

    # Refusing

    def _refuse(self, error: CadmlError) -> None:
        """Answer with an error where nothing is being answered, and end the connection."""
        self._ended = True
        refused_connections_total.labels(code=error.code).inc()
        cycle = self.cycle
        if self.pipeline or (cycle is not None and not cycle.response_complete and not self._in_body):
            cycle.keep_alive = False  # earlier requests are answered first, and nothing after them
            return
        if cycle is not None and self._in_body:
            if cycle.response_started or cycle.response_complete:
                self.transport.close()
                return
            cycle.disconnected = True  # for the application, the client is gone
            cycle.message_event.set()
        if self._table.lingering >= _MOST_LINGERING:
            self.transport.abort()
            return
        self.transport.write(_answer(error))
        self._table.forget(self, self._peer)
        self._table.lingering += 1
        self._lingers = True
        with contextlib.suppress(OSError, RuntimeError):
            self.transport.write_eof()
        self.loop.call_later(_LINGER, self.transport.abort)


def _too_large(limit: str, allowed: int) -> CadmlError:
    told = {
        "HEADER_LINE_MAX_BYTES": f"a header line may have {allowed:,} bytes",
        "HEADERS_MAX_BYTES": f"all headers together may have {allowed:,} bytes",
        "HEADERS_MAX_COUNT": f"a request may have {allowed:,} headers",
    }
    return CadmlError(f"{told[limit]} ({limit})", code="HEADERS_TOO_LARGE", limit=limit, allowed=allowed)


def _answer(error: CadmlError) -> bytes:
    body = http_errors.encode(error.problem())
    reason = _REASONS.get(error.status, "Service Unavailable")
    again = "retry-after: 1\r\n" if error.status == 503 else ""
    head = (
        f"HTTP/1.1 {error.status} {reason}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n{again}x-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
