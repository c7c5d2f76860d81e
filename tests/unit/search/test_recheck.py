"""A backend that lies in the right form is found out by the catalogue, and taken out of service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from cadml_core import IndexKey, VectorBackend
from cadml_core.catalog.records import NewPart, PartFilter, Vector
from cadml_core.catalog.store import Catalog
from cadml_core.contracts.vectors import Hits
from cadml_core.search.index import recheck as recheck_module
from cadml_core.search.index.recheck import IndexFailed, Recheck
from cadml_core.search.similarity import SimilaritySearch
from cadml_core.search.spaces import Space, SpaceName
from cadml_core.testing.faults import Fault, FaultPlan, FaultyBackend
from cadml_plugins.vectors.memory import MemoryBackend, MemoryConfig

COUNT = 40
LIES: dict[Fault, str] = {
    "reversed ids": "the distances of the hits are not those of their vectors",
    "halved distances": "the distances of the hits are not those of their vectors",
    "repeated ids": "an id twice",
    "not the nearest": "left out the nearest",
}
"""What a backend may do, and what the reason must say."""


@pytest.fixture
def plan() -> FaultPlan:
    """What goes wrong."""
    return FaultPlan()


@pytest.fixture
def search(catalog: Catalog, box: Any, plan: FaultPlan) -> Iterator[SimilaritySearch]:
    """Forty boxes behind a backend that lies on order."""
    rng = np.random.default_rng(1)
    parts = [
        NewPart(
            id=f"b{number}",
            material="steel" if number % 2 else "brass",
            vectors={"box": Vector(rng.uniform(1, 100, 3))},
        )
        for number in range(COUNT)
    ]
    catalog.add(parts)
    backend = FaultyBackend(MemoryBackend(), plan)
    made = SimilaritySearch(catalog, box, backend, fallback=MemoryBackend(), probing=False)
    yield made
    made.close()


def every_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let forty vectors be many, of which every answer is in the share."""
    monkeypatch.setattr(recheck_module, "ALL_BELOW", 0)
    monkeypatch.setattr(recheck_module, "SHARE", 1.0)


@pytest.mark.parametrize("metric", ["scaled", "cosine_raw"])
@pytest.mark.parametrize("which", [None, PartFilter(material="steel")], ids=["all", "filtered"])
@pytest.mark.parametrize("lie", LIES)
def test_the_first_lie_is_answered_with_the_truth(
    search: SimilaritySearch, plan: FaultPlan, lie: Fault, metric: Any, which: PartFilter | None
) -> None:
    """Nobody gets the wrong answer: the stand-in gives the right one, and the reason is told."""
    honest = search.by_id("b3", k=5, metric=metric, which=which)
    assert not honest.degraded
    plan.fail("search", lie)
    answer = search.by_id("b3", k=5, metric=metric, which=which)
    assert answer.degraded
    assert answer.hits == honest.hits
    assert LIES[lie] in (search.indexes.health().degraded_reason or "")


@pytest.mark.parametrize("lie", [lie for lie in LIES if lie != "not the nearest"])
def test_a_lie_among_many_vectors(
    search: SimilaritySearch, plan: FaultPlan, lie: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hits of an answer in the share are measured again, however many vectors there are."""
    every_answer(monkeypatch)
    assert not search.by_id("b3", k=5).degraded
    plan.fail("search", lie)
    assert search.by_id("b3", k=5).degraded


def test_many_vectors_are_compared_in_the_share_only(
    catalog: Catalog, box: Any, search: SimilaritySearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chance decides: below the share an answer is compared, above it is not."""
    monkeypatch.setattr(recheck_module, "ALL_BELOW", 0)
    draws = iter([recheck_module.SHARE, recheck_module.SHARE / 2])
    recheck = Recheck(catalog, Space(box, "scaled"), chance=lambda: next(draws))
    query = np.zeros((1, 3), dtype=np.float32)
    lie = Hits(np.array([[1, 2]]), np.array([[0.0, 0.0]], dtype=np.float32))
    applied = catalog.last_change()
    recheck.compare(query, lie, None, COUNT, applied)
    with pytest.raises(IndexFailed, match="not those of their vectors"):
        recheck.compare(query, lie, None, COUNT, applied)
    search.close()


def test_an_id_without_a_vector(catalog: Catalog, box: Any, search: SimilaritySearch) -> None:
    """A hit that no part has is no hit."""
    lie = Hits(np.array([[99]]), np.array([[0.0]], dtype=np.float32))
    with pytest.raises(IndexFailed, match="parts that have no vector"):
        Recheck(catalog, Space(box, "scaled")).compare(
            np.zeros((1, 3), dtype=np.float32), lie, None, COUNT, catalog.last_change()
        )
    search.close()


@pytest.mark.parametrize("many", [False, True])
def test_what_others_change_meanwhile_is_no_lie(
    catalog: Catalog, box: Any, search: SimilaritySearch, many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer as of an earlier change is compared without the parts that changed since."""
    if many:
        every_answer(monkeypatch)
    space, applied = Space(box, "scaled"), catalog.last_change()
    recheck = Recheck(catalog, space)
    raw = catalog.vector("b3", "box").values
    queries = space.project(raw[np.newaxis])
    index = MemoryBackend().open(
        MemoryConfig(), key=IndexKey("0", "box", "scaled"), dimension=space.dimension, metric=space.metric
    )
    rows, values = catalog.vectors("box")
    index.upsert(rows, space.project(values))
    hits = index.search(queries, 6)
    recheck.compare(queries, hits, None, COUNT, applied)
    catalog.remove(search.by_id("b3", k=1).hits[0].id)
    catalog.add([NewPart(id="b3", vectors={"box": Vector(raw + 50.0)})])
    catalog.add([NewPart(id="new", vectors={"box": Vector(raw)})])
    for _ in range(2):
        recheck.compare(queries, hits, None, COUNT, applied)


def test_a_backend_that_misses_a_few_may_go_on(catalog: Catalog, box: Any, search: SimilaritySearch) -> None:
    """One neighbour in twenty missed is an approximate index; one in five is a wrong one, soon found out."""
    space, applied = Space(box, "scaled"), catalog.last_change()
    rows, values = catalog.vectors("box")
    points = space.project(values)
    index = MemoryBackend().open(
        MemoryConfig(), key=IndexKey("0", "box", "scaled"), dimension=space.dimension, metric=space.metric
    )
    index.upsert(rows, points)

    def missing(count: int) -> Hits:
        hits = index.search(points[:1], 20 + count)
        kept = np.r_[0, 1 + count : 20 + count]
        return Hits(hits.ids[:, kept], hits.distances[:, kept])

    recheck = Recheck(catalog, space)
    for _ in range(100):
        recheck.compare(points[:1], missing(1), None, COUNT, applied)
    with pytest.raises(IndexFailed, match="as near as the nearest"):
        for _ in range(10):
            recheck.compare(points[:1], missing(4), None, COUNT, applied)
    search.close()


def test_huge_values_are_no_lie(catalog: Catalog, box: Any, backend: VectorBackend) -> None:
    """What float32 makes of distances between large values is not held against a backend."""
    rng = np.random.default_rng(2)
    for magnitude in (1e-6, 1e4, 1e12, 1e200):
        parts = [
            NewPart(id=f"{magnitude}-{number}", vectors={"box": Vector(rng.normal(0, magnitude, 3))})
            for number in range(30)
        ]
        catalog.add(parts)
    search = SimilaritySearch(catalog, box, backend, probing=False)
    metrics: tuple[SpaceName, ...] = ("scaled", "cosine_raw")
    for metric in metrics:
        for number in range(30):
            assert search.by_id(f"10000.0-{number}", k=20, metric=metric).hits
            assert search.by_id(f"1e+200-{number}", k=20, metric=metric).hits
    search.close()
