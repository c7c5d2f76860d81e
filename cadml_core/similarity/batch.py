"""Find the parts most similar to each of many parts, in one question."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NamedTuple, TypeVar

import msgspec
import numpy as np

from cadml_core.catalog.records import Part, PartFilter
from cadml_core.contracts import Int64Array
from cadml_core.errors import InvalidInput
from cadml_core.features import FloatMatrix
from cadml_core.metrics import batch_similarity_parallel_savings_seconds
from cadml_core.similarity.filters import SlotRange
from cadml_core.similarity.recovery import Answer
from cadml_core.similarity.search import Hit, SimilaritySearch, check_bounds, make_hits, nearest
from cadml_core.similarity.spaces import SpaceName

T = TypeVar("T")


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
    """Most threads. Of an index inside this process never more than there are cores: there, more
    threads only wait for one another, and the waiting would count as savings."""


class BatchSimilarity:
    """Answers batches through a ``SimilaritySearch``. Only computation runs in parallel, never a write."""

    def __init__(self, search: SimilaritySearch, policy: BatchPolicy | None = None) -> None:
        self._search = search
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
        search = self._search
        space = search.space(metric)
        allowed = search.admitted(which, ranges)
        known = search.catalog.parts_by_id(ids)
        rows, raw = search.catalog.vectors(search.feature.name, {part.row for part in known.values()})
        if not len(rows):
            items = tuple(BatchItem(part_id, "not_found", ()) for part_id in ids)
            health = search.indexes.health()
            return BatchResult(
                items, search.feature.name, metric, health.backend, health.degraded, False, 0.0
            )
        work = self._answer(metric, space.project(raw), k + 1, allowed)
        found: dict[int, tuple[Hit, ...]] = {}
        for chunk, (answer, parts) in zip(work.chunks, work.results, strict=True):
            for line, row in enumerate(rows[chunk].tolist()):
                found[row] = make_hits(space, *nearest(answer.hits, line, row, k), parts, min_score)
        last = work.results[-1][0]
        return BatchResult(
            items=tuple(_item(part_id, known.get(part_id), found) for part_id in ids),
            feature_version=search.feature.name,
            metric=metric,
            backend=last.backend,
            degraded=any(answer.degraded for answer, _ in work.results),
            parallel=len(work.chunks) > 1,
            savings_seconds=work.savings,
        )

    def _answer(self, metric: SpaceName, queries: FloatMatrix, k: int, allowed: Int64Array | None) -> _Work:
        chunks = self._chunks(len(queries))
        tasks = [lambda c=chunk: self._search.answer(metric, queries[c], k, allowed) for chunk in chunks]
        if len(tasks) == 1:
            return _Work(chunks, [tasks[0]()], 0.0)
        start = time.perf_counter()
        timed = list(self._threads.map(_timed, tasks))
        savings = sum(seconds for _, seconds in timed) - (time.perf_counter() - start)
        # A histogram's sum must not fall; the answer tells the truth where nothing was saved.
        batch_similarity_parallel_savings_seconds.observe(max(0.0, savings))
        return _Work(chunks, [result for result, _ in timed], savings)

    def _chunks(self, count: int) -> list[slice]:
        workers = 1 if count <= self.policy.threshold else self.policy.workers
        if self._search.indexes.in_process:
            workers = min(workers, _cores())
        edges = np.linspace(0, count, min(workers, count) + 1).astype(int).tolist()
        return [slice(low, high) for low, high in itertools.pairwise(edges)]


class _Work(NamedTuple):
    chunks: list[slice]
    results: list[tuple[Answer, dict[int, Part]]]
    savings: float


def _cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _timed(task: Callable[[], T]) -> tuple[T, float]:
    start = time.perf_counter()
    result = task()
    return result, time.perf_counter() - start


def _item(part_id: str, part: Part | None, found: dict[int, tuple[Hit, ...]]) -> BatchItem:
    if part is None or part.row not in found:
        return BatchItem(part_id, "not_found", ())
    return BatchItem(part_id, "success", found[part.row])
