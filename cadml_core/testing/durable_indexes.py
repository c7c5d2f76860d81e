"""What a durable index promises beyond a vector index: it survives, and never claims more than it holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cadml_core.contracts.vectors import DurableIndex, IndexKey, VectorBackend
from cadml_core.testing.vector_backends import DIMENSION, KEY, Rows, int64

Open = Callable[..., DurableIndex]


class DurableIndexContract:
    """Inherit beside ``VectorBackendContract``, and provide the fixtures ``backend`` and ``drop``.

    Everything that ``backend`` opens in one test must be kept in one place, as if by one engine that goes on
    running while the host is started again.
    """

    @pytest.fixture
    def backend(self) -> VectorBackend:
        """Return the backend under test."""
        raise NotImplementedError("override the fixture `backend`")

    @pytest.fixture
    def config(self, backend: VectorBackend) -> Any:
        """Return the options to open it with."""
        return backend.config_type()

    @pytest.fixture
    def drop(self) -> Callable[[IndexKey], None]:
        """Return what deletes the collection of a key behind the backend's back."""
        raise NotImplementedError("override the fixture `drop`")

    @pytest.fixture
    def start(self, backend: VectorBackend, config: Any) -> Open:
        """Open the index of a key, as a host does that has just been started."""

        def open_index(key: IndexKey = KEY) -> DurableIndex:
            index = backend.open(config, key=key, dimension=DIMENSION, metric="l2")
            assert isinstance(index, DurableIndex)
            return index

        return open_index

    def test_a_new_index_has_applied_nothing(self, start: Open) -> None:
        """It is empty, and says so by change number 0."""
        index = start()
        assert (len(index), index.applied_change()) == (0, 0)
        index.close()

    def test_survives_a_restart(self, start: Open) -> None:
        """After a restart the vectors and the mark are there, and can be searched."""
        index = start()
        index.upsert(int64(3, 5), _rows(1.0, 2.0))
        index.mark_applied(17)
        index.close()
        again = start()
        assert (len(again), again.applied_change()) == (2, 17)
        assert again.search(_rows(2.0), 1).ids.tolist() == [[5]]
        again.close()

    def test_a_half_applied_change_is_applied_again(self, start: Open) -> None:
        """A host that died before it marked a change finds the older mark, and repeats the change."""
        index = start()
        index.upsert(int64(1), _rows(1.0))
        index.mark_applied(4)
        index.upsert(int64(2), _rows(2.0))
        index.remove(int64(1))
        index.close()
        again = start()
        assert again.applied_change() == 4
        again.upsert(int64(2), _rows(2.0))
        assert again.remove(int64(1)) in (0, 1)
        again.mark_applied(5)
        assert (len(again), again.applied_change()) == (1, 5)
        again.close()

    @pytest.mark.parametrize(
        "other",
        [
            IndexKey("another", KEY.feature_version, KEY.space),
            IndexKey(KEY.catalogue, "v3", KEY.space),
            IndexKey(KEY.catalogue, KEY.feature_version, "cosine_raw"),
            IndexKey(KEY.catalogue, f"{KEY.feature_version}_{KEY.space}", KEY.space),
        ],
        ids=["replaced catalogue", "feature version", "space", "a name that runs into the next"],
    )
    def test_keys_of_equal_width_share_nothing(self, start: Open, other: IndexKey) -> None:
        """An index of another key begins empty, and what happens to it leaves the first one alone."""
        index, second = start(), start(other)
        index.upsert(int64(1, 2), _rows(1.0, 2.0))
        index.mark_applied(9)
        assert (len(second), second.applied_change()) == (0, 0)
        second.upsert(int64(1), _rows(7.0))
        second.mark_applied(3)
        assert index.search(_rows(1.0), 1).distances.tolist() == [[0.0]]
        second.clear()
        assert (len(index), index.applied_change()) == (2, 9)
        index.close()
        second.close()

    def test_clear_drops_vectors_and_mark(self, start: Open) -> None:
        """Afterwards, and after a restart, it is as if it were new; and it can be filled again."""
        index = start()
        index.upsert(int64(1), _rows(1.0))
        index.mark_applied(8)
        index.clear()
        assert (len(index), index.applied_change()) == (0, 0)
        index.upsert(int64(6), _rows(3.0))
        index.mark_applied(2)
        index.close()
        again = start()
        assert (len(again), again.applied_change()) == (1, 2)
        again.close()

    def test_a_lost_collection_takes_its_mark_with_it(
        self, start: Open, drop: Callable[[IndexKey], None]
    ) -> None:
        """Deleted behind our back, it opens empty and with change number 0, so that it is filled again."""
        index = start()
        index.upsert(int64(1), _rows(1.0))
        index.mark_applied(8)
        index.close()
        drop(KEY)
        again = start()
        assert (len(again), again.applied_change()) == (0, 0)
        again.upsert(int64(1), _rows(1.0))
        assert len(again) == 1
        again.close()


def _rows(*values: float) -> Rows:
    """One row for each value, filled with it."""
    rows: Rows = np.repeat(np.array(values, dtype=np.float32)[:, np.newaxis], DIMENSION, axis=1)
    return rows
