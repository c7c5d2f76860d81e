"""Batches: the same answers as single searches, shared by threads where that saves time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from prometheus_client import REGISTRY

from cadml_core import FeatureSlot, Hits, IndexKey, Metric, VectorIndex
from cadml_core.catalog.records import NewPart, PartFilter, Vector
from cadml_core.catalog.store import Catalog
from cadml_core.errors import InvalidInput
from cadml_core.search.batch import BatchPolicy, BatchSimilarity
from cadml_core.search.similarity import SimilaritySearch
from cadml_core.testing.faults import FaultPlan, FaultyBackend
from cadml_plugins.vectors.memory import MemoryBackend, MemoryConfig

COUNT = 120


class Plane:
    """Two slots, embedded as they are."""

    name = "plane"
    slots = tuple(FeatureSlot(name, "geometric", "plane", "mm", name) for name in "xy")
    needs_mesh = False
    metric: Metric = "l2"

    def extract(self, document: Any) -> Any:
        """Not needed here."""
        raise NotImplementedError

    def embed(self, values: Any) -> Any:
        """The same in float32."""
        return values.astype(np.float32)


class SlowIndex:
    """An index far away: every search takes a while, and doing nothing meanwhile."""

    def __init__(self, index: VectorIndex, seconds: float) -> None:
        self._index = index
        self._seconds = seconds
        self.upsert, self.remove, self.close = index.upsert, index.remove, index.close

    def search(self, queries: Any, k: int, allowed: Any = None) -> Hits:
        """Answer late: the more queries, the later."""
        time.sleep(self._seconds * len(queries))
        return self._index.search(queries, k, allowed)

    def __len__(self) -> int:
        return len(self._index)


class SlowBackend:
    """Opens slow indexes."""

    name = "slow"
    config_type: type[msgspec.Struct] = MemoryConfig

    def open(self, config: Any, *, key: IndexKey, dimension: int, metric: Metric) -> VectorIndex:
        """Open one."""
        return SlowIndex(MemoryBackend().open(config, key=key, dimension=dimension, metric=metric), 0.001)


@pytest.fixture
def catalog(sqlite_url: str) -> Iterator[Catalog]:
    """Parts scattered over a plane; one has no vector."""
    places = np.random.default_rng(0).normal(size=(COUNT, 2)) * 10
    with Catalog.open(sqlite_url) as opened:
        opened.add(
            [
                NewPart(id=f"p{i}", material=f"m{i % 3}", vectors={"plane": Vector(place)})
                for i, place in enumerate(places)
            ]
        )
        opened.add([NewPart(id="bare")])
        yield opened


IDS = [f"p{i}" for i in range(COUNT)]


def saved() -> tuple[float, float]:
    """Count and sum of the savings observed so far."""
    names = ("_count", "_sum")
    count, total = (
        REGISTRY.get_sample_value(f"batch_similarity_parallel_savings_seconds{n}") or 0 for n in names
    )
    return count, total


@pytest.mark.parametrize("threshold", [5, 1000])
@pytest.mark.parametrize("metric", ["scaled", "cosine_raw"])
def test_a_batch_answers_like_single_searches(catalog: Catalog, threshold: int, metric: Any) -> None:
    """Shared or not, each item has exactly the hits that a search for that part has, filters included."""
    search = SimilaritySearch(catalog, Plane(), MemoryBackend())
    batch = BatchSimilarity(search, BatchPolicy(threshold=threshold))
    which = PartFilter(material="m1")
    result = batch.similar([*IDS, "nobody", "bare"], k=4, metric=metric, which=which, min_score=0.2)
    assert [item.id for item in result.items] == [*IDS, "nobody", "bare"]
    for item in result.items[:COUNT]:
        assert item.status == "success"
        assert item.hits == search.by_id(item.id, k=4, metric=metric, which=which, min_score=0.2).hits
    assert [(item.status, item.hits) for item in result.items[COUNT:]] == [("not_found", ())] * 2


def test_threads_save_the_time_that_an_index_makes_them_wait(catalog: Catalog) -> None:
    """With an index that answers late, the sum of the waits exceeds the wait; both are measured."""
    before = saved()
    batch = BatchSimilarity(SimilaritySearch(catalog, Plane(), SlowBackend()), BatchPolicy())
    result = batch.similar(IDS, k=3)
    assert (result.parallel, result.backend) == (True, "slow")
    assert result.savings_seconds > 0
    after = saved()
    assert after[0] - before[0] == 1
    assert after[1] - before[1] == pytest.approx(result.savings_seconds)


def test_small_batches_are_not_shared(catalog: Catalog) -> None:
    """Up to the threshold one thread does it all, and no savings are claimed."""
    before = saved()
    batch = BatchSimilarity(SimilaritySearch(catalog, Plane(), SlowBackend()), BatchPolicy())
    result = batch.similar(IDS[:50], k=3)
    assert (result.parallel, result.savings_seconds) == (False, 0.0)
    assert saved() == before


def test_a_failing_index_degrades_the_batch_not_the_answer(catalog: Catalog) -> None:
    """When the index fails in one of the threads, all items are right and the answer says degraded."""
    plan = FaultPlan()
    search = SimilaritySearch(
        catalog,
        Plane(),
        FaultyBackend(MemoryBackend(), plan, in_process=False),
        fallback=MemoryBackend(),
        probing=False,
    )
    expected = BatchSimilarity(search).similar(IDS, k=3)
    assert not expected.degraded
    plan.fail("search", at=2)
    result = BatchSimilarity(search).similar(IDS, k=3)
    assert result.degraded
    assert result.items == expected.items


def test_nobody_known_is_no_error(catalog: Catalog) -> None:
    """Unknown ids are items, not failures."""
    batch = BatchSimilarity(SimilaritySearch(catalog, Plane(), MemoryBackend()))
    result = batch.similar(["x", "y"])
    assert [item.status for item in result.items] == ["not_found"] * 2


@pytest.mark.parametrize("count", [0, 201])
def test_the_size_of_a_batch_is_bounded(catalog: Catalog, count: int) -> None:
    """The message names the setting."""
    batch = BatchSimilarity(SimilaritySearch(catalog, Plane(), MemoryBackend()))
    with pytest.raises(InvalidInput, match="BATCH_SIMILARITY_MAX_IDS"):
        batch.similar(["p1"] * count)


def test_a_part_may_be_asked_for_twice(catalog: Catalog) -> None:
    """Each mention is an item."""
    batch = BatchSimilarity(SimilaritySearch(catalog, Plane(), MemoryBackend()))
    one, two = batch.similar(["p1", "p1"]).items
    assert one == two
