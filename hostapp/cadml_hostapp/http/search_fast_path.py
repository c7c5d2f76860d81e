"""The express lane: the hottest operation, answered without the framework's machinery around it.

A search takes the index some 50 microseconds; routing, injecting, wrapping and negotiating take a
framework twice that. A plain, well-formed search is therefore answered here, with the same check of
the key, the same decoding, the same searcher and the same metrics as the route. Everything else about
it (errors, limits, other origins, bodies in pieces) is passed on to the route, which stays the one
place that describes the operation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from cadml_core.errors import CadmlError
from cadml_hostapp.http.auth import Gatekeeper
from cadml_hostapp.routes.search.schemas import SearchRequest
from cadml_hostapp.searching import Searcher

Record = Callable[[str, str, int, float], None]
"""Notes method, path, status and seconds of a request."""

_MAX_BYTES = 64 * 1024
_decoder = msgspec.json.Decoder(SearchRequest)
_encoder = msgspec.json.Encoder()


class ExpressLane:
    """ASGI wrapper that answers plain searches and passes everything else on."""

    def __init__(
        self, app: ASGIApp, path: str, searcher: Searcher, gatekeeper: Gatekeeper, record: Record
    ) -> None:
        self._app = app
        self._path = path
        self._searcher = searcher
        self._gatekeeper = gatekeeper
        self._record = record

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["path"] != self._path or not self._plain(scope):
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        first: Any = await receive()
        body = await self._answer(scope, first)
        if body is None:
            await self._app(scope, _Replay(first, receive), send)
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})
        self._record("POST", self._path, 200, time.perf_counter() - start)

    def _plain(self, scope: Any) -> bool:
        return (
            scope["type"] == ScopeType.HTTP
            and scope["method"] == "POST"
            and not scope["query_string"]
            and not any(name == b"origin" for name, _ in scope["headers"])
        )

    async def _answer(self, scope: Any, first: Any) -> bytes | None:
        """Return the answer, None where the route is to tell what is wrong."""
        if first["type"] != "http.request" or first.get("more_body") or len(first["body"]) > _MAX_BYTES:
            return None
        sent = dict(scope["headers"])
        if sent.get(b"content-type") != b"application/json":
            return None
        try:
            key = self._gatekeeper.check_key(sent.get(b"x-api-key"))
            asked = _decoder.decode(first["body"])
            if (asked.vector is None) == (asked.id is None):
                return None
            answer = await self._searcher.search(asked)
        except (CadmlError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        scope.setdefault("state", {})["api_key"] = key
        return _encoder.encode(answer)


class _Replay:
    """Gives back the message that was taken, then goes on."""

    def __init__(self, first: Any, receive: Receive) -> None:
        self._first = first
        self._receive = receive

    async def __call__(self) -> Any:
        if self._first is None:
            return await self._receive()
        first, self._first = self._first, None
        return first
