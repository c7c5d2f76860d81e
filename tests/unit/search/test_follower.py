"""An index that follows the change log is never behind, whoever wrote."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from cadml_core import VectorBackend
from cadml_core.catalog.records import NewPart, Vector
from cadml_core.catalog.store import Catalog
from cadml_core.search.index.sync import IndexFollower, backend_config
from cadml_core.search.spaces import Space

MakeBoxes = Callable[..., list[NewPart]]


def follower(catalog: Catalog, box: Any, backend: VectorBackend) -> IndexFollower:
    """A follower in the scaled space."""
    return IndexFollower(catalog, Space(box, "scaled"), backend, backend_config(backend, {}))


def test_applies_every_kind_of_change(
    catalog: Catalog, box: Any, backend: VectorBackend, boxes: MakeBoxes, sqlite_url: str
) -> None:
    """Added, changed, removed and left without its vector: the next answer knows, also of other writers."""
    index = follower(catalog, box, backend)
    query = np.zeros((1, 3), dtype=np.float32)

    def found() -> list[int]:
        return [int(i) for i in index.search(query, 5).ids[0] if i >= 0]

    assert found() == []
    with Catalog.open(sqlite_url) as other:
        other.add(boxes(a=(1, 0, 0), b=(2, 0, 0)))
        assert found() == [1, 2]
        other.add(boxes(a=(3, 0, 0)))
        assert found() == [2, 1]
        other.remove("b")
        assert found() == [1]
        other.add([NewPart(id="a", label="new")])
        assert found() == [1]
    assert index.applied_change == catalog.last_change()
    assert len(index) == 1


def test_a_catalogue_put_back_to_an_earlier_state(
    catalog: Catalog, box: Any, backend: VectorBackend, boxes: MakeBoxes, tmp_path: Path, sqlite_url: str
) -> None:
    """Where the change numbers went back, the index is built anew instead of keeping ghosts."""
    catalog.add(boxes(a=(1, 0, 0)))
    catalog.close()
    saved = tmp_path / "saved.sqlite3"
    shutil.copy(sqlite_url.removeprefix("sqlite:///"), saved)
    with Catalog.open(sqlite_url) as reopened:
        index = follower(reopened, box, backend)
        reopened.add(boxes(b=(0, 0, 0)))
        assert index.search(np.zeros((1, 3), np.float32), 1).ids[0, 0] == 2
    shutil.copy(saved, sqlite_url.removeprefix("sqlite:///"))
    with Catalog.open(sqlite_url) as restored:
        index._catalog = restored
        assert index.search(np.zeros((1, 3), np.float32), 2).ids[0].tolist() == [1, -1]


def test_many_threads_see_their_own_writes(catalog: Catalog, box: Any, backend: VectorBackend) -> None:
    """Whoever wrote something finds it in the search that follows, whatever others do meanwhile."""
    index = follower(catalog, box, backend)

    def write_and_find(worker: int) -> bool:
        for turn in range(10):
            values = np.array([worker, turn, 0.0])
            [outcome] = catalog.add([NewPart(id=f"{worker}-{turn}", vectors={"box": Vector(values)})])
            hits = index.search(box.embed(values[np.newaxis]), 1)
            if hits.ids[0, 0] != outcome.row or hits.distances[0, 0] != 0.0:
                return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(write_and_find, range(4)))
    assert len(index) == 40
