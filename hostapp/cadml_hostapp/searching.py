"""Answer searches at once on the event loop where that is quick, several with one call to the index.

A search among some thousand vectors takes about 50 microseconds, handing it to a thread and back as
long again, and most of the rest is the same for one query as for ten. So searches that arrive in the
same turn of the event loop are answered together, on the loop itself. Whatever may take longer goes
to a thread: a large index, one that has to catch up, a remote one, filters, explanations.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import numpy as np

from cadml_core.catalog.records import PartFilter
from cadml_core.documents.arrays import FloatVector
from cadml_core.runtime import Runtime
from cadml_core.search.similarity import SearchResult, checked_values, lines_of, make_hits
from cadml_core.search.spaces import SpaceName
from cadml_hostapp.routes.search.schemas import SearchAnswer, SearchRequest, hit_answer, search_answer

IMMEDIATE_SIZE = 20_000
"""Most vectors of an index that is searched on the event loop."""
_MOST_AT_ONCE = 32
"""So many searches take two milliseconds together: longer than that nobody on the loop should wait."""

InThread = Callable[..., Awaitable[SearchResult]]


class _Waiting(NamedTuple):
    """A search that is answered at the end of this turn of the loop; None says: use a thread."""

    body: SearchRequest
    raw: FloatVector
    answer: asyncio.Future[SearchAnswer | None]


class Searcher:
    """Answers the searches of one application. Used on one event loop."""

    def __init__(self, runtime: Runtime, in_thread: InThread) -> None:
        self._runtime = runtime
        self._in_thread = in_thread
        self._waiting: list[_Waiting] = []

    async def search(self, body: SearchRequest) -> SearchAnswer:
        """Return what a search finds.

        Raises:
            CadmlError: As ``SimilaritySearch.by_id`` and ``by_values``.
        """
        if body.vector is not None and not body.explain and not body.ranges and body.which() == PartFilter():
            raw = checked_values(body.vector, self._runtime.feature)
            loop = asyncio.get_running_loop()
            if not self._waiting:
                loop.call_soon(self._answer_waiting)
            future: asyncio.Future[SearchAnswer | None] = loop.create_future()
            self._waiting.append(_Waiting(body, raw, future))
            if (answer := await future) is not None:
                return answer
        return search_answer(await self._in_thread(_search, self._runtime, body))

    def _answer_waiting(self) -> None:
        """Answer those that wait, a bounded number in one turn."""
        group, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._answer_waiting)
        for metric in {waiting.body.metric for waiting in group}:
            same = [waiting for waiting in group if waiting.body.metric == metric]
            try:
                answers: Sequence[SearchAnswer | None] = (
                    self._together(metric, same) if self._immediate(metric) else [None] * len(same)
                )
            # A future carries whatever happened to whoever waits for it.
            except Exception as error:  # noqa: BLE001
                for waiting in same:
                    if not waiting.answer.done():
                        waiting.answer.set_exception(error)
            else:
                for waiting, answer in zip(same, answers, strict=True):
                    if not waiting.answer.done():
                        waiting.answer.set_result(answer)

    def _immediate(self, metric: SpaceName) -> bool:
        """Tell whether nothing but computing stands between question and answer, and little of that."""
        search = self._runtime.search
        followers = search.indexes.primary
        if followers is None or not search.catalog.local or not search.indexes.in_process:
            return False
        index = followers[metric]
        small = 0 < index.known_size <= IMMEDIATE_SIZE
        return small and index.applied_change == search.catalog.last_change()

    def _together(self, metric: SpaceName, group: Sequence[_Waiting]) -> list[SearchAnswer]:
        search = self._runtime.search
        space = search.space(metric)
        queries = space.project(np.stack([waiting.raw for waiting in group]))
        most = max(waiting.body.k for waiting in group)
        [found], parts = search.answer(
            lambda change: [search.indexes.search(metric, queries, most, change=change)]
        )
        return [
            SearchAnswer(
                hits=[
                    hit_answer(hit)
                    for hit in make_hits(line, parts, waiting.body.k, min_score=waiting.body.min_score)
                ],
                feature_version=search.feature.name,
                metric=metric,
                backend=found.backend,
                degraded=found.degraded,
            )
            for waiting, line in zip(group, lines_of(space, found.hits), strict=True)
        ]


def _search(runtime: Runtime, body: SearchRequest) -> SearchResult:
    """Do any search, in a thread."""
    if body.vector is not None:
        return runtime.search.by_values(
            body.vector,
            k=body.k,
            metric=body.metric,
            which=body.which(),
            ranges=body.bounds(),
            min_score=body.min_score,
            explain=body.explain,
        )
    assert body.id is not None
    return runtime.search.by_id(
        body.id,
        k=body.k,
        metric=body.metric,
        which=body.which(),
        ranges=body.bounds(),
        min_score=body.min_score,
        include_self=body.include_self,
        explain=body.explain,
    )
