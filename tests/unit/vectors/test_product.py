"""Screening by one matrix product names every row that may be among the nearest, and few others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cadml_core import IndexKey
from cadml_plugins.vectors._product import screen_by_product, squares
from cadml_plugins.vectors.faiss import FaissBackend, FaissConfig
from cadml_plugins.vectors.memory import MemoryBackend, MemoryConfig

KEY = IndexKey("test", "v4", "scaled")


@settings(max_examples=80, deadline=None)
@given(
    size=st.integers(1, 3000),
    width=st.integers(1, 30),
    queries=st.integers(1, 40),
    grid=st.booleans(),
    share=st.sampled_from([None, 0.02, 0.3, 0.5, 0.9, 1.0]),
    data=st.data(),
)
def test_none_of_the_nearest_is_missing(
    size: int, width: int, queries: int, grid: bool, share: float | None, data: st.DataObject
) -> None:
    """For any number of rows, queries and allowed rows, also where most distances tie."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    drawn = rng.normal(size=(size, width)) * 100.0 if not grid else rng.integers(0, 3, size=(size, width))
    rows = drawn.astype(np.float32)
    asked = rows[rng.integers(0, size, queries)]
    allowed = None
    if share is not None:  # in one piece, so that whole groups of rows have none
        count = max(1, round(share * size))
        start = int(rng.integers(0, size - count + 1))
        allowed = np.arange(start, start + count)
    k = data.draw(st.integers(1, min(50, size if allowed is None else len(allowed))))
    named = screen_by_product(rows, squares(rows), asked, k, allowed)
    admitted = np.arange(size) if allowed is None else allowed
    for line, query in zip(named, asked, strict=True):
        found = line[line >= 0]
        distances = ((rows[admitted].astype(np.float64) - query) ** 2).sum(axis=1).astype(np.float32)
        nearest = admitted[distances <= np.partition(distances, k - 1)[k - 1]]
        assert set(nearest) <= set(found) <= set(admitted)
        assert found.tolist() == sorted(found.tolist())
        assert (line[len(found) :] == -1).all()


def test_few_but_the_nearest_are_named() -> None:
    """Among ten thousand rows of real spread, not many more than were asked for are compared exactly."""
    rows = np.random.default_rng(4).normal(size=(10_000, 24)).astype(np.float32)
    assert screen_by_product(rows, squares(rows), rows[:200], 10, None).shape[1] < 30


def test_a_stray_row_far_away_spoils_no_answer() -> None:
    """One part with absurd values does not make its distant others candidates."""
    rows = np.random.default_rng(4).normal(size=(10_000, 24)).astype(np.float32)
    rows[77] = 1e9
    assert screen_by_product(rows, squares(rows), rows[:70], 10, None).shape[1] < 30


@pytest.mark.parametrize("share", [0.01, 0.4, 0.6])
def test_little_and_much_work_have_the_same_answer(share: float) -> None:
    """One query or many, a filter or none, one thread or two: each way of searching agrees."""
    rng = np.random.default_rng(5)
    rows = rng.integers(0, 6, size=(9_000, 5)).astype(np.float32)
    ids, asked = np.arange(9_000) * 3, rows[:40]
    allowed = ids[rng.random(9_000) < share]
    expected = MemoryBackend().open(MemoryConfig(), key=KEY, dimension=5, metric="l2")
    expected.upsert(ids, rows)
    for threads in (1, 2):
        index = FaissBackend().open(FaissConfig(threads=threads), key=KEY, dimension=5, metric="l2")
        index.upsert(ids, rows)
        for admitted in (None, allowed, allowed[::-1]):
            together = expected.search(asked, 12, admitted)
            np.testing.assert_array_equal(index.search(asked, 12, admitted).ids, together.ids)
            for line in range(0, 40, 13):
                alone = index.search(asked[line : line + 1], 12, admitted)
                np.testing.assert_array_equal(alone.ids[0], together.ids[line])
                np.testing.assert_array_equal(alone.distances[0], together.distances[line])
