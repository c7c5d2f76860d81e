"""What every vector backend promises, checked against a brute-force search."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cadml_core.contracts.features import Metric
from cadml_core.contracts.vectors import Hits, IndexKey, VectorBackend, VectorIndex

DIMENSION = 6
KEY = IndexKey("kit", "v4", "scaled")
Ids = NDArray[np.int64]
Rows = NDArray[np.float32]


def int64(*ids: int) -> Ids:
    """Return ids as the contract wants them."""
    return np.array(ids, dtype=np.int64)


def brute_force(ids: Ids, vectors: Rows, query: Rows, k: int, metric: Metric) -> list[int]:
    """Return the ids of the k nearest, ties by ascending id."""
    if metric == "l2":
        distances = ((vectors - query) ** 2).sum(axis=1)
    else:
        norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
        distances = 1.0 - (vectors @ query) / norms
    return [int(ids[row]) for row in np.lexsort((ids, distances))[:k]]


class VectorBackendContract:
    """Inherit, and provide the fixture ``backend``; ``config`` where the default will not do."""

    @pytest.fixture
    def backend(self) -> VectorBackend:
        """Return the backend under test."""
        raise NotImplementedError("override the fixture `backend`")

    @pytest.fixture
    def config(self, backend: VectorBackend) -> Any:
        """Return the options to open it with."""
        return backend.config_type()

    @pytest.fixture
    def index(self, backend: VectorBackend, config: Any) -> Iterator[VectorIndex]:
        """Open an empty index."""
        opened = backend.open(config, key=KEY, dimension=DIMENSION, metric="l2")
        yield opened
        opened.close()

    @pytest.fixture
    def sample(self) -> tuple[Ids, Rows]:
        """Return 200 vectors with ids that are neither small nor in order."""
        generator = np.random.default_rng(7)
        ids = generator.permutation(np.arange(200, dtype=np.int64)) * 977 + 2**40
        return ids, generator.normal(size=(200, DIMENSION)).astype(np.float32)

    def test_satisfies_the_protocols(self, backend: VectorBackend, index: VectorIndex) -> None:
        """Backend and index have every member of their contracts."""
        assert isinstance(backend, VectorBackend)
        assert isinstance(index, VectorIndex)

    @pytest.mark.parametrize("metric", ["l2", "cosine"])
    def test_finds_what_brute_force_finds(
        self, backend: VectorBackend, config: Any, sample: tuple[Ids, Rows], metric: Metric
    ) -> None:
        """The nearest ids, in order, for both metrics, with distances that never fall."""
        ids, vectors = sample
        index = backend.open(config, key=KEY, dimension=DIMENSION, metric=metric)
        index.upsert(ids, vectors)
        queries = np.random.default_rng(8).normal(size=(5, DIMENSION)).astype(np.float32)
        hits = index.search(queries, 10)
        assert isinstance(hits, Hits)
        assert hits.ids.shape == hits.distances.shape == (5, 10)
        for row, query in enumerate(queries):
            assert hits.ids[row].tolist() == brute_force(ids, vectors, query, 10, metric)
        assert (np.diff(hits.distances, axis=1) >= 0).all()
        index.close()

    def test_distances_are_those_of_the_contract(self, backend: VectorBackend, config: Any) -> None:
        """Squared Euclidean distance for l2, one minus the cosine for cosine."""
        vectors = np.zeros((2, DIMENSION), dtype=np.float32)
        vectors[0, 0], vectors[1, 1] = 1.0, 3.0
        query = np.zeros((1, DIMENSION), dtype=np.float32)
        query[0, 0] = 2.0
        cases: list[tuple[Metric, list[float]]] = [("l2", [1.0, 13.0]), ("cosine", [0.0, 1.0])]
        for metric, expected in cases:
            index = backend.open(config, key=KEY, dimension=DIMENSION, metric=metric)
            index.upsert(int64(1, 2), vectors)
            np.testing.assert_allclose(index.search(query, 2).distances[0], expected, atol=1e-6)
            index.close()

    def test_equal_distances_are_ordered_by_id(self, index: VectorIndex) -> None:
        """The order is total: ties go to the smaller id, also at the cut."""
        ids = int64(50, 10, 40, 30, 20)
        index.upsert(ids, np.ones((5, DIMENSION), dtype=np.float32))
        query = np.ones((1, DIMENSION), dtype=np.float32)
        assert index.search(query, 3).ids[0].tolist() == [10, 20, 30]
        assert index.search(query, 5).ids[0].tolist() == [10, 20, 30, 40, 50]

    def test_filters_before_the_cut(self, index: VectorIndex, sample: tuple[Ids, Rows]) -> None:
        """With a filter, k hits come back wherever k are allowed, and only allowed ones."""
        ids, vectors = sample
        index.upsert(ids, vectors)
        query = vectors[:1]
        farthest = brute_force(ids, vectors, query[0], 200, "l2")[-20:]
        hits = index.search(query, 10, np.array(farthest, dtype=np.int64))
        assert hits.ids[0].tolist() == farthest[:10]

    def test_a_filter_may_name_unknown_ids_or_none(
        self, index: VectorIndex, sample: tuple[Ids, Rows]
    ) -> None:
        """Unknown ids in a filter are passed over; an empty filter finds nothing."""
        ids, vectors = sample
        index.upsert(ids, vectors)
        some = index.search(vectors[:1], 3, np.concatenate([int64(5, 6), ids[:1]]))
        assert some.ids[0].tolist() == [int(ids[0]), -1, -1]
        assert np.isinf(some.distances[0, 1:]).all()
        assert (index.search(vectors[:1], 3, int64()).ids == -1).all()

    def test_fewer_than_k_are_padded(self, index: VectorIndex) -> None:
        """Where fewer than k exist, the rest is -1 at infinite distance, also in an empty index."""
        query = np.zeros((2, DIMENSION), dtype=np.float32)
        empty = index.search(query, 4)
        assert empty.ids.tolist() == [[-1] * 4] * 2
        assert np.isinf(empty.distances).all()
        index.upsert(int64(3), query[:1])
        assert index.search(query, 4).ids[0].tolist() == [3, -1, -1, -1]

    def test_upsert_replaces(self, index: VectorIndex) -> None:
        """A known id gets its new vector and is found once; of a repeated id the last one wins."""
        near, far = np.zeros((1, DIMENSION), np.float32), np.full((1, DIMENSION), 9.0, np.float32)
        index.upsert(int64(1, 2), np.concatenate([near, far]))
        index.upsert(int64(1, 1), np.concatenate([near, far + 1]))
        assert len(index) == 2
        hits = index.search(near, 5)
        assert hits.ids[0, :3].tolist() == [2, 1, -1]

    def test_remove_deletes(self, index: VectorIndex, sample: tuple[Ids, Rows]) -> None:
        """A removed id is never found again; unknown ids are passed over; it can come back."""
        ids, vectors = sample
        index.upsert(ids, vectors)
        assert index.remove(np.concatenate([ids[:50], int64(1, 2)])) == 50
        assert len(index) == 150
        found = index.search(vectors[:50], 150).ids
        assert not np.isin(found, ids[:50]).any()
        index.upsert(ids[:1], vectors[:1])
        assert index.search(vectors[:1], 1).ids[0, 0] == ids[0]

    def test_survives_many_changes(self, index: VectorIndex) -> None:
        """After a long mixture of upserts and removals the index holds exactly what it should."""
        generator = np.random.default_rng(11)
        truth: dict[int, Rows] = {}
        for _ in range(60):
            ids = np.unique(generator.integers(0, 80, size=12)).astype(np.int64)
            if generator.random() < 0.6:
                vectors = generator.normal(size=(len(ids), DIMENSION)).astype(np.float32)
                index.upsert(ids, vectors)
                truth.update(zip(ids.tolist(), vectors, strict=True))
            else:
                assert index.remove(ids) == sum(truth.pop(i, None) is not None for i in ids.tolist())
        ids, vectors = np.array(list(truth), dtype=np.int64), np.stack(list(truth.values()))
        assert len(index) == len(ids)
        hits = index.search(vectors, 3)
        for row, vector in enumerate(vectors):
            assert hits.ids[row].tolist() == brute_force(ids, vectors, vector, 3, "l2")

    def test_takes_any_float_layout(self, index: VectorIndex) -> None:
        """float64, transposed or strided arrays are as good as contiguous float32."""
        vectors = np.arange(DIMENSION * 4, dtype=np.float64).reshape(DIMENSION, 4).T[::2]
        index.upsert(int64(1, 2), vectors)
        assert index.search(vectors, 1).ids[:, 0].tolist() == [1, 2]

    def test_refuses_wrong_lengths(self, index: VectorIndex) -> None:
        """Vectors or queries of another length, or unequal numbers of ids and vectors, are refused."""
        wide = np.zeros((1, DIMENSION + 1), dtype=np.float32)
        with pytest.raises(ValueError):
            index.upsert(int64(1), wide)
        with pytest.raises(ValueError):
            index.search(wide, 1)
        with pytest.raises(ValueError):
            index.upsert(int64(1, 2), wide[:, :DIMENSION])
        assert len(index) == 0

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_refuses_what_is_not_finite(self, index: VectorIndex, bad: float) -> None:
        """NaN and infinity are refused, and nothing of that call is stored."""
        vectors = np.zeros((2, DIMENSION), dtype=np.float32)
        vectors[1, 2] = bad
        with pytest.raises(ValueError):
            index.upsert(int64(1, 2), vectors)
        with pytest.raises(ValueError):
            index.search(vectors, 1)
        assert len(index) == 0

    def test_refuses_k_below_one(self, index: VectorIndex) -> None:
        """Nobody can want fewer than one hit."""
        with pytest.raises(ValueError):
            index.search(np.zeros((1, DIMENSION), dtype=np.float32), 0)

    def test_no_queries_no_hits(self, index: VectorIndex) -> None:
        """A batch of no queries gives no rows."""
        assert index.search(np.zeros((0, DIMENSION), dtype=np.float32), 3).ids.shape == (0, 3)

    def test_does_not_keep_the_callers_arrays(self, index: VectorIndex) -> None:
        """Changing the array after the call does not change the index."""
        vectors = np.zeros((1, DIMENSION), dtype=np.float32)
        index.upsert(int64(1), vectors)
        vectors += 5
        assert index.search(np.zeros((1, DIMENSION), np.float32), 1).distances[0, 0] == 0.0

    def test_two_indexes_share_nothing(self, backend: VectorBackend, config: Any, index: VectorIndex) -> None:
        """An index of another key starts empty."""
        index.upsert(int64(1), np.zeros((1, DIMENSION), dtype=np.float32))
        key = IndexKey("another", KEY.feature_version, KEY.space)
        other = backend.open(config, key=key, dimension=DIMENSION, metric="l2")
        assert len(other) == 0
        other.close()

    def test_searches_while_it_changes(self, index: VectorIndex, sample: tuple[Ids, Rows]) -> None:
        """Searches from several threads stay right while another thread adds and removes."""
        ids, vectors = sample
        index.upsert(ids[:100], vectors[:100])

        def search(row: int) -> bool:
            return all(index.search(vectors[row : row + 1], 1).ids[0, 0] == ids[row] for _ in range(20))

        def change() -> None:
            for _ in range(20):
                index.upsert(ids[100:], vectors[100:])
                index.remove(ids[100:])

        with ThreadPoolExecutor(4) as threads:
            changing = threads.submit(change)
            assert all(threads.map(search, range(30)))
            changing.result()

    def test_closes_twice(self, index: VectorIndex) -> None:
        """Closing what is closed does nothing."""
        index.close()
        index.close()
