"""Searches over HTTP: several are answered by one call to the index, plain ones without the framework.

A search among some thousand vectors takes about 50 microseconds, handing it to a thread and back as long
again, and routing, injecting and wrapping it in the framework twice that. So searches that arrive in the same
turn of the event loop are answered together, on the loop itself; what may take longer goes to a thread. And
``FastSearch`` answers plain, well-formed searches before the framework sees them. Without it the endpoint
serves half as many requests as a bare ASGI application, with it three quarters
(``tests/benchmarks/bench_server.py``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, NamedTuple

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from cadml_core.errors import CadmlError, InvalidInput
from cadml_core.runtime import Runtime
from cadml_core.search.questions import Question, SearchResult, checked_values
from cadml_core.search.similarity import SimilaritySearch
from cadml_core.search.sizes import extents_in, extents_of, sized
from cadml_core.search.spaces import SpaceName
from cadml_hostapp.http.auth import Gatekeeper
from cadml_hostapp.http.rate_limit import RateLimit
from cadml_hostapp.http.related import related
from cadml_hostapp.routes.search.schemas import SearchRequest

IMMEDIATE_SIZE = 20_000
"""Most vectors of an index that is searched on the event loop."""
_MOST_AT_ONCE = 32
"""So many searches take two milliseconds together; other requests on the loop should wait no longer."""
_MAX_BYTES = 64 * 1024
"""Longest body that is answered without the framework."""

Record = Callable[[str, str, int, float], None]
"""Notes method, path, status and seconds of a request."""


class _Waiting(NamedTuple):
    """A search that is answered at the end of this turn of the loop; None says: use a thread."""

    question: Question
    answer: asyncio.Future[SearchResult | None]


class Searcher:
    """Answers the searches of one application. Used on one event loop.

    Args:
        runtime: Where to search.
        threads: For searches that may take long.
    """

    def __init__(self, runtime: Runtime, threads: Executor) -> None:
        self._search = runtime.search
        self._runtime = runtime
        self._threads = threads
        self._waiting: list[_Waiting] = []

    async def search(self, body: SearchRequest) -> SearchResult:
        """Return what a search finds.

        Raises:
            CadmlError: As ``SimilaritySearch.by_id`` and ``by_values``, and ``CombinedSearch.by_id``.
        """
        loop = asyncio.get_running_loop()
        if body.feature_version not in (None, self._search.feature.name):
            return await loop.run_in_executor(self._threads, related, self._runtime, body)
        if body.relations or not body.mirror or body.scale != "any":
            raise InvalidInput(
                "relations, mirror and scale are for the combined search: add feature_version `combined`",
                stage="similarity",
                field="feature_version",
            )
        if body.vector is None:
            return await loop.run_in_executor(self._threads, _by_id, self._search, body)
        question = _question(body, self._search)
        result = None
        if not (question.explain or question.ranges or question.which):
            result = await self._together(question)
        if result is None:
            [result] = await loop.run_in_executor(self._threads, self._search.search_many, [question])
        return result

    async def _together(self, question: Question) -> SearchResult | None:
        """Answer with those that arrive in the same turn of the loop; None where that may take long."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._answer_waiting)
        future: asyncio.Future[SearchResult | None] = loop.create_future()
        self._waiting.append(_Waiting(question, future))
        return await future

    def _answer_waiting(self) -> None:
        """Answer those that wait, a bounded number in one turn."""
        group, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._answer_waiting)
        try:
            results = self._at_once([waiting.question for waiting in group])
        # Each caller waits on a future, so it must get every outcome.
        except Exception as error:  # noqa: BLE001
            for waiting in group:
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)
        else:
            for waiting, result in zip(group, results, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(result)

    def _at_once(self, questions: list[Question]) -> Sequence[SearchResult | None]:
        if all(map(self._is_immediate, {question.metric for question in questions})):
            return self._search.search_many(questions)
        return [None] * len(questions)

    def _is_immediate(self, metric: SpaceName) -> bool:
        """Tell whether nothing but computing stands between question and answer, and little of that."""
        search = self._search
        followers = search.indexes.primary
        if followers is None or not search.catalog.local or not search.indexes.in_process:
            return False
        index = followers[metric]
        small = 0 < index.known_size <= IMMEDIATE_SIZE
        return small and index.applied_change == search.catalog.last_change()


class FastSearch:
    """ASGI wrapper that answers plain searches and passes everything else on.

    A plain search is checked, decoded, answered, limited and measured as by its route. Everything else about
    it (errors, other origins, bodies in pieces) is left to the route, which stays the one place that
    describes the operation.

    Args:
        app: What answers everything else.
        searcher: Answers searches.
        gatekeeper: Checks the API key.
        record: Records the request in the metrics.
        rate_limit: What the keys have left; None: there is no limit.
    """

    def __init__(
        self,
        app: ASGIApp,
        searcher: Searcher,
        gatekeeper: Gatekeeper,
        record: Record,
        rate_limit: RateLimit | None,
    ) -> None:
        self._app = app
        self._searcher = searcher
        self._gatekeeper = gatekeeper
        self._record = record
        self._rate_limit = rate_limit
        self._decoder = msgspec.json.Decoder(SearchRequest)
        self._encoder = msgspec.json.Encoder()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request to the path of searches, or pass it on."""
        start, path = time.perf_counter(), scope["path"]
        if not self._is_plain(scope):
            await self._app(scope, receive, send)
            return
        first: Any = await receive()
        answered = await self._answer(scope, first)
        if answered is None:
            await self._app(scope, _Replay(first, receive), send)
            return
        body, more_headers = answered
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": [*headers, *more_headers]})
        await send({"type": "http.response.body", "body": body, "more_body": False})
        self._record("POST", path, 200, time.perf_counter() - start)

    def _is_plain(self, scope: Any) -> bool:
        return (
            scope["type"] == ScopeType.HTTP
            and scope["method"] == "POST"
            and not scope["query_string"]
            and not any(name == b"origin" for name, _ in scope["headers"])
        )

    async def _answer(self, scope: Any, first: Any) -> tuple[bytes, list[tuple[bytes, bytes]]] | None:
        """Return the answer and its headers, None where the route is to say what is wrong."""
        if first["type"] != "http.request" or first.get("more_body") or len(first["body"]) > _MAX_BYTES:
            return None
        sent = dict(scope["headers"])
        if sent.get(b"content-type") != b"application/json":
            return None
        try:
            key = self._gatekeeper.check_key(sent.get(b"x-api-key"))
            if self._rate_limit and self._rate_limit.exhausted(key):
                return None
            asked = self._decoder.decode(first["body"])
            if (asked.vector is None) == (asked.id is None):
                return None
            answer = await self._searcher.search(asked)
        except (CadmlError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        scope.setdefault("state", {})["api_key"] = key
        return self._encoder.encode(answer), self._rate_limit.count(key) if self._rate_limit else []


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


def _question(body: SearchRequest, search: SimilaritySearch) -> Question:
    """Return what a search by vector asks.

    Raises:
        DimensionMismatch, InvalidInput: The vector does not fit.
    """
    raw, which = checked_values(body.vector or (), search.feature), body.which()
    if body.size_within is not None:
        which = sized(which, extents_in(search.feature, raw), body.size_within)
    return Question(
        raw=raw,
        k=body.k,
        metric=body.metric,
        which=which,
        ranges=body.bounds(),
        min_score=body.min_score,
        explain=body.explain,
    )


def _by_id(search: SimilaritySearch, body: SearchRequest) -> SearchResult:
    part_id, which = body.id or "", body.which()
    if body.size_within is not None:
        which = sized(which, extents_of(search.catalog, part_id), body.size_within)
    return search.by_id(
        part_id,
        k=body.k,
        metric=body.metric,
        which=which,
        ranges=body.bounds(),
        min_score=body.min_score,
        include_self=body.include_self,
        explain=body.explain,
    )
