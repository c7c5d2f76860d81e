"""The exact indexes: the right neighbours in a total order, whatever the data looks like."""

from __future__ import annotations

import threading
import time
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cadml_core import IndexKey, Metric, VectorBackend, VectorIndex
from cadml_plugins.vectors import faiss, memory
from cadml_plugins.vectors._exact import SharedLock, directions

BACKENDS: dict[str, tuple[VectorBackend, Any]] = {
    "faiss": (faiss.FaissBackend(), faiss.FaissConfig()),
    "memory": (memory.MemoryBackend(), memory.MemoryConfig()),
}


KEY = IndexKey("test", "v4", "scaled")


def opened(name: str, vectors: np.ndarray[Any, Any], metric: Metric = "l2") -> VectorIndex:
    """An index of these vectors under the ids 0, 1, 2, ..."""
    backend, config = BACKENDS[name]
    index = backend.open(config, key=KEY, dimension=vectors.shape[1], metric=metric)
    index.upsert(np.arange(len(vectors)), vectors)
    return index


def truth(vectors: np.ndarray[Any, Any], query: np.ndarray[Any, Any], k: int) -> list[int]:
    """The k nearest in float64, ties by id."""
    rows, q = vectors.astype(np.float32).astype(np.float64), query.astype(np.float32).astype(np.float64)
    distances = ((rows - q) ** 2).sum(axis=1).astype(np.float32)
    nearest: list[int] = np.lexsort((np.arange(len(vectors)), distances))[:k].tolist()
    return nearest


@pytest.mark.parametrize("name", BACKENDS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_ties_and_clusters_are_ordered_by_id(name: str, data: st.DataObject) -> None:
    """On a coarse grid, where most distances tie, also at the cut, the answer is the one total order."""
    size = data.draw(st.integers(1, 120))
    grid = st.sampled_from([0.0, 1.0, -1.0, 3.0, 1e-7, 1000.0])
    vectors = data.draw(hnp.arrays(np.float32, (size, 3), elements=grid))
    k = data.draw(st.integers(1, size + 3))
    hits = opened(name, vectors).search(vectors[:40], k)
    for row, query in enumerate(vectors[:40]):
        found = hits.ids[row][hits.ids[row] >= 0].tolist()
        assert found == truth(vectors, query, k)


@pytest.mark.parametrize("name", BACKENDS)
def test_near_neighbours_of_huge_vectors_are_told_apart(name: str) -> None:
    """Cancellation does not hide differences: neighbours a millionth apart at a norm of 10,000."""
    vectors = np.full((50, 8), 4000.0, dtype=np.float32)
    vectors[:, 0] += np.arange(50) * 0.002
    order = opened(name, vectors).search(vectors[:1] - 1.0, 50).ids[0]
    assert order.tolist() == list(range(50))


@pytest.mark.parametrize("name", BACKENDS)
def test_a_thousand_equal_vectors_come_in_order(name: str) -> None:
    """More ties than any spare candidates still go to the smallest ids."""
    vectors = np.zeros((1000, 4), dtype=np.float32)
    vectors[::2] = 1.0
    hits = opened(name, vectors).search(np.ones((2, 4), dtype=np.float32), 7)
    assert hits.ids.tolist() == [[0, 2, 4, 6, 8, 10, 12]] * 2
    assert (hits.distances == 0.0).all()


@pytest.mark.parametrize("name", BACKENDS)
def test_large_batches_equal_single_queries(name: str) -> None:
    """A query's answer does not depend on what else is asked with it."""
    vectors = np.random.default_rng(1).normal(size=(500, 24)).astype(np.float32)
    index = opened(name, vectors)
    together = index.search(vectors, 9)
    for row in range(0, 500, 37):
        alone = index.search(vectors[row : row + 1], 9)
        assert together.ids[row].tolist() == alone.ids[0].tolist()
        assert together.distances[row].tolist() == alone.distances[0].tolist()


@pytest.mark.parametrize("name", BACKENDS)
def test_both_metrics_agree_with_the_formula_for_any_magnitude(name: str) -> None:
    """Cosine of raw values up to 1e300 neither overflows nor loses its precision."""
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(40, 5)) * np.array([[10.0 ** rng.integers(-200, 200)] for _ in range(40)])
    hits = opened(name, vectors, "cosine").search(vectors[:1], 40)
    unit = vectors / np.abs(vectors).max(axis=1, keepdims=True)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    np.testing.assert_allclose(hits.distances[0], 1.0 - (unit @ unit[0])[hits.ids[0]], atol=1e-6)
    assert hits.distances[0, 0] == 0.0


@pytest.mark.parametrize("name", BACKENDS)
def test_zero_has_a_direction_of_its_own(name: str) -> None:
    """A vector of zeros is identical to another such, and at a right angle to everything else."""
    vectors = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [-1.0, 0.0]])
    hits = opened(name, vectors, "cosine").search(np.zeros((1, 2)), 4)
    assert hits.ids[0].tolist() == [0, 2, 1, 3]
    assert hits.distances[0].tolist() == [0.0, 0.0, 1.0, 1.0]
    assert directions(np.zeros((0, 2))).shape == (0, 3)


@pytest.mark.parametrize("name", BACKENDS)
def test_refuses_what_float32_cannot_compare(name: str) -> None:
    """Values whose squares overflow are refused, not ranked wrongly."""
    with pytest.raises(ValueError, match="too large"):
        opened(name, np.array([[1e19, 0.0]]))


@pytest.mark.parametrize("name", BACKENDS)
def test_ids_may_come_in_any_order(name: str) -> None:
    """Ids below the ones already there are found as well as those above."""
    backend, config = BACKENDS[name]
    index = backend.open(config, key=KEY, dimension=1, metric="l2")
    ids = np.random.default_rng(3).permutation(200) * 7 - 500
    for start in range(0, 200, 9):
        part = ids[start : start + 9]
        index.upsert(part, part[:, np.newaxis].astype(np.float32))
    hits = index.search(ids[:, np.newaxis].astype(np.float32), 1)
    assert hits.ids[:, 0].tolist() == ids.tolist()
    assert index.remove(ids[::2]) == 100
    hits = index.search(ids[1::2, np.newaxis].astype(np.float32), 1)
    assert hits.ids[:, 0].tolist() == ids[1::2].tolist()


def test_the_thread_setting_is_checked() -> None:
    """An impossible number of threads, or an unknown option, is refused by name."""
    with pytest.raises(msgspec.ValidationError, match="threads = 0"):
        msgspec.convert({"threads": 0}, faiss.FaissConfig)
    with pytest.raises(msgspec.ValidationError, match="nlist"):
        msgspec.convert({"nlist": 5}, faiss.FaissConfig)


def test_a_waiting_writer_goes_before_new_readers() -> None:
    """A stream of searches cannot keep a change out for ever, and a change is alone."""
    lock, log = SharedLock(), []
    first_reads, may_end = threading.Event(), threading.Event()

    def read_first() -> None:
        with lock.reading:
            first_reads.set()
            may_end.wait(10)
            log.append("first reader")

    def write() -> None:
        with lock.writing:
            log.append("writer")

    def read_second() -> None:
        with lock.reading:
            log.append("second reader")

    threads = [threading.Thread(target=read_first)]
    threads[0].start()
    first_reads.wait(10)
    for target in (write, read_second):
        threads.append(threading.Thread(target=target))
        threads[-1].start()
        while target is write and not lock.waiting:
            time.sleep(0.001)
    may_end.set()
    for thread in threads:
        thread.join(10)
    assert log == ["first reader", "writer", "second reader"]
