"""Find the parts most similar to each of many parts, in one question."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Literal

import msgspec
import numpy as np

from cadml_core.catalog.records import PartFilter
from cadml_core.documents.arrays import FloatMatrix, Int64Array
from cadml_core.errors import InvalidInput
from cadml_core.metrics import batch_similarity_parallel_savings_seconds
from cadml_core.search.filters import SlotRange
from cadml_core.search.index.sync import Answer
from cadml_core.search.questions import Hit, Question, SearchResult
from cadml_core.search.similarity import SimilaritySearch, check_bounds
from cadml_core.search.spaces import SpaceName


class BatchItem(msgspec.Struct, frozen=True):
    """What was found for one part."""

    id: str
    status: Literal["success", "not_found"]
    """``not_found``: there is no such part, or it has no vector of the feature version."""
    hits: tuple[Hit, ...]


class BatchResult(msgspec.Struct, frozen=True):
    """One item for each id, in their order."""

    items: tuple[BatchItem, ...]
    feature_version: str
    metric: SpaceName
    backend: str
    degraded: bool
    parallel: bool
    """Whether the work was shared by threads."""
    savings_seconds: float
    """The sum of the threads' own times minus the time that passed: measured, so it may be negative;
    0 where one thread did it all."""


class BatchPolicy(msgspec.Struct, frozen=True):
    """When and how far a batch is shared out."""

    max_ids: int = 200
    threshold: int = 50
    """From more ids than this on, threads share the work."""
    workers: int = 4
    """Most threads. Of an index inside this process never more than there are cores, and only where
    each has much to compare: else they only wait for one another."""


_PAIRS = 1_000_000
"""Pairs of query and vector from which on a thread inside this process saves more than it costs."""


Chunk = Callable[[FloatMatrix], tuple[Answer, float]]
"""Searches for some of the queries; returns the answer and the seconds it took."""


class BatchSimilarity:
    """Answers batches through a ``SimilaritySearch``. Only computation runs in parallel, never a write.

    Args:
        search: Answers.
        policy: When threads share the work.
        note: Told of the parts that each batch is about, as far as they exist.
    """

    def __init__(
        self,
        search: SimilaritySearch,
        policy: BatchPolicy | None = None,
        note: Callable[[Iterable[str]], None] | None = None,
    ) -> None:
        self._search = search
        self._note = note
        self.policy = policy or BatchPolicy()
        # Starts its threads with the first batch that needs them, and keeps them.
        self._threads = ThreadPoolExecutor(self.policy.workers, thread_name_prefix="cadml-batch")

    def similar(
        self,
        ids: Sequence[str],
        *,
        k: int = 10,
        metric: SpaceName = "scaled",
        which: PartFilter | None = None,
        ranges: Sequence[SlotRange] = (),
        min_score: float = 0.0,
    ) -> BatchResult:
        """Return the parts most similar to each part, without the part itself.

        Raises:
            InvalidInput: There are no ids or too many, or an argument is out of bounds.
        """
        if not 1 <= len(ids) <= self.policy.max_ids:
            raise InvalidInput(
                f"{len(ids)} ids are not possible; allowed: 1 to {self.policy.max_ids}"
                " (BATCH_SIMILARITY_MAX_IDS)",
                stage="similarity",
                found=len(ids),
                allowed=self.policy.max_ids,
            )
        check_bounds(k, min_score)
        search, ranges = self._search, tuple(ranges)
        known, rows, raw = search.catalog.values_of(ids, search.feature.name)
        if self._note is not None:
            self._note(known)
        questions = [
            Question(values, k, metric, which, ranges, min_score, exclude=row)
            for row, values in zip(rows.tolist(), raw, strict=True)
        ]
        work = _SharedWork(self)
        results = search.search_many(questions, work.ask) if questions else []
        found = dict(zip(known, results, strict=True))
        health = None if results else search.indexes.health()
        return BatchResult(
            items=tuple(_item(part_id, found.get(part_id)) for part_id in ids),
            feature_version=search.feature.name,
            metric=metric,
            backend=health.backend if health else results[-1].backend,
            degraded=health.degraded if health else any(result.degraded for result in results),
            parallel=work.threads > 1,
            savings_seconds=work.savings,
        )

    # For the work of one batch

    def search_chunk(self, metric: SpaceName, k: int, allowed: Int64Array | None, change: int) -> Chunk:
        """Return what searches for some of the queries, and tells how long that took."""
        search = partial(self._search.indexes.search, metric, k=k, allowed=allowed, change=change)
        return partial(_timed, search)

    def map(self, search: Chunk, chunks: Sequence[FloatMatrix]) -> list[tuple[Answer, float]]:
        """Search chunk by chunk, in threads where there are several."""
        return list(self._threads.map(search, chunks)) if len(chunks) > 1 else [search(chunks[0])]

    def chunks(self, count: int) -> list[slice]:
        """Divide so many queries among threads."""
        workers = 1 if count <= self.policy.threshold else self.policy.workers
        indexes = self._search.indexes
        if indexes.in_process:
            workers = min(workers, _cores(), max(1, count * indexes.known_size // _PAIRS))
        edges = np.linspace(0, count, min(workers, count) + 1).astype(int).tolist()
        return [slice(low, high) for low, high in itertools.pairwise(edges)]


def _cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _SharedWork:
    """Shares the queries of one batch out, and knows what that saved."""

    def __init__(self, batches: BatchSimilarity) -> None:
        self._batches = batches
        self.threads = 1
        self.savings = 0.0

    def ask(
        self, metric: SpaceName, queries: FloatMatrix, k: int, allowed: Int64Array | None, change: int
    ) -> list[Answer]:
        """Search for all queries, an ``Ask`` of the pipeline."""
        search = self._batches.search_chunk(metric, k, allowed, change)
        chunks = [queries[part] for part in self._batches.chunks(len(queries))]
        start = time.perf_counter()
        timed = self._batches.map(search, chunks)
        self.threads = len(chunks)
        if self.threads > 1:
            self.savings = sum(seconds for _, seconds in timed) - (time.perf_counter() - start)
            # A histogram's sum must not fall; the answer tells the truth where nothing was saved.
            batch_similarity_parallel_savings_seconds.observe(max(0.0, self.savings))
        return [answer for answer, _ in timed]


def _timed(search: Callable[[FloatMatrix], Answer], queries: FloatMatrix) -> tuple[Answer, float]:
    start = time.perf_counter()
    answer = search(queries)
    return answer, time.perf_counter() - start


def _item(part_id: str, result: SearchResult | None) -> BatchItem:
    if result is None:
        return BatchItem(part_id, "not_found", ())
    return BatchItem(part_id, "success", result.hits)
