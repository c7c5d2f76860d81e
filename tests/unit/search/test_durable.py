"""An index that outlives the process holds what its catalogue holds, whatever happened to either of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from cadml_core import FloatMatrix, Hits, IndexKey, Int64Array, Metric, VectorIndex
from cadml_core.catalog.records import NewPart, Vector
from cadml_core.catalog.store import Catalog
from cadml_core.search.index.sync import IndexFollower, backend_config
from cadml_core.search.similarity import SimilaritySearch
from cadml_core.search.spaces import Space
from cadml_plugins.vectors.memory import MemoryBackend, MemoryConfig

MakeBoxes = Callable[..., list[NewPart]]


class EngineConfig(msgspec.Struct, frozen=True):
    """Nothing to choose."""


class Engine:
    """A vector engine that goes on running while hosts come and go; also the backend that opens it."""

    name = "engine"
    config_type: type[msgspec.Struct] = EngineConfig

    def __init__(self) -> None:
        self.collections: dict[str, VectorIndex] = {}
        self.marks: dict[str, int] = {}
        self.upserts: list[int] = []
        self.dies_before_mark = False

    def open(self, config: Any, *, key: IndexKey, dimension: int, metric: Metric) -> Collection:
        """Connect to the collection of a key."""

        def create() -> VectorIndex:
            return MemoryBackend().open(MemoryConfig(), key=key, dimension=dimension, metric=metric)

        return Collection(self, key.text, create)


class Collection:
    """What a host holds of one collection."""

    def __init__(self, engine: Engine, name: str, create: Callable[[], VectorIndex]) -> None:
        self._engine = engine
        self._name = name
        self._create = create

    @property
    def _rows(self) -> VectorIndex:
        if self._name not in self._engine.collections:
            self._engine.marks.pop(self._name, None)
            self._engine.collections[self._name] = self._create()
        return self._engine.collections[self._name]

    def upsert(self, ids: Int64Array, vectors: FloatMatrix) -> None:
        """Add, and count."""
        self._engine.upserts.append(len(ids))
        self._rows.upsert(ids, vectors)

    def remove(self, ids: Int64Array) -> int:
        """Remove."""
        return self._rows.remove(ids)

    def search(self, queries: FloatMatrix, k: int, allowed: Int64Array | None = None) -> Hits:
        """Search."""
        return self._rows.search(queries, k, allowed)

    def __len__(self) -> int:
        return len(self._rows)

    def close(self) -> None:
        """Hang up."""

    def applied_change(self) -> int:
        """The mark; none without a collection."""
        return self._engine.marks.get(self._name, 0) if self._name in self._engine.collections else 0

    def mark_applied(self, change: int) -> None:
        """Remember it, unless the host dies now."""
        if self._engine.dies_before_mark:
            raise ConnectionError("the host is gone")
        self._engine.marks[self._name] = change

    def clear(self) -> None:
        """Drop it all."""
        self._engine.collections.pop(self._name, None)
        self._engine.marks.pop(self._name, None)


def follower(catalog: Catalog, feature: Any, engine: Engine) -> IndexFollower:
    """What a host that has just been started makes."""
    return IndexFollower(catalog, Space(feature, "scaled"), engine, backend_config(engine, {}))


def found(index: IndexFollower, k: int = 3) -> list[int]:
    """Row numbers by distance from the origin."""
    return [int(row) for row in index.search(np.zeros((1, 3), np.float32), k).ids[0] if row >= 0]


def test_goes_on_where_it_was(catalog: Catalog, box: Any, boxes: MakeBoxes) -> None:
    """After a restart only what is new is sent."""
    engine = Engine()
    catalog.add(boxes(a=(1, 0, 0), b=(2, 0, 0)))
    assert found(follower(catalog, box, engine)) == [1, 2]
    catalog.add(boxes(c=(0, 0, 0)))
    assert found(follower(catalog, box, engine)) == [3, 1, 2]
    assert engine.upserts == [2, 1]


def test_feature_versions_of_one_width_do_not_mix(catalog: Catalog, box: Any) -> None:
    """Each finds its own vectors; in one collection the later would overwrite the earlier, unnoticed."""
    engine, other = Engine(), type(box)()
    other.name = "other"
    near, far = Vector(np.zeros(3)), Vector(np.ones(3))
    catalog.add([NewPart(id="a", vectors={"box": near, "other": far})])
    catalog.add([NewPart(id="b", vectors={"box": far, "other": near})])
    first, second = follower(catalog, box, engine), follower(catalog, other, engine)
    assert (found(first), found(second), found(first)) == ([1, 2], [2, 1], [1, 2])


def test_a_replaced_catalogue_begins_anew(box: Any, boxes: MakeBoxes, tmp_path: Path) -> None:
    """Nothing of the catalogue before is found, though its change numbers were higher; nor is it lost."""
    engine = Engine()
    urls = [f"sqlite:///{tmp_path}/{name}.sqlite3" for name in ("old", "new")]
    with Catalog.open(urls[0]) as old, Catalog.open(urls[1]) as new:
        for number in range(5):
            old.add(boxes(**{f"p{number}": (number, 0, 0)}))
        assert found(follower(old, box, engine), 9) == [1, 2, 3, 4, 5]
        new.add(boxes(only=(7, 0, 0)))
        assert found(follower(new, box, engine), 9) == [1]
        assert found(follower(old, box, engine), 9) == [1, 2, 3, 4, 5]


def test_a_restored_catalogue_is_copied_again(
    catalog: Catalog, box: Any, boxes: MakeBoxes, sqlite_url: str, tmp_path: Path
) -> None:
    """The index has seen changes that the backup has not: it is cleared and filled from the backup."""
    engine, file = Engine(), sqlite_url.removeprefix("sqlite:///")
    catalog.add(boxes(a=(1, 0, 0)))
    catalog.close()
    shutil.copy(file, tmp_path / "backup")
    with Catalog.open(sqlite_url) as later:
        later.add(boxes(b=(0, 0, 0)))
        assert found(follower(later, box, engine)) == [2, 1]
    shutil.copy(tmp_path / "backup", file)
    with Catalog.open(sqlite_url) as restored:
        assert found(follower(restored, box, engine)) == [1]


def test_a_half_applied_change_is_repeated(catalog: Catalog, box: Any, boxes: MakeBoxes) -> None:
    """A host that died between vectors and mark leaves an index that the next one brings forward."""
    engine = Engine()
    catalog.add(boxes(a=(1, 0, 0)))
    assert found(follower(catalog, box, engine)) == [1]
    catalog.add(boxes(b=(0, 0, 0)))
    engine.dies_before_mark = True
    search = SimilaritySearch(catalog, box, engine, fallback=MemoryBackend(), probing=False)
    assert search.by_values([0.0, 0.0, 0.0]).degraded
    engine.dies_before_mark = False
    catalog.remove("a")
    assert found(follower(catalog, box, engine)) == [2]


def test_a_lost_collection_is_noticed_and_filled_again(catalog: Catalog, box: Any, boxes: MakeBoxes) -> None:
    """Deleted while a host has it open: the answer comes from the stand-in, and recovery fills it again."""
    engine = Engine()
    catalog.add(boxes(a=(1, 0, 0), b=(2, 0, 0)))
    search = SimilaritySearch(catalog, box, engine, fallback=MemoryBackend(), probing=False)
    assert not search.by_values([0.0, 0.0, 0.0]).degraded
    engine.collections.clear()
    answer = search.by_values([0.0, 0.0, 0.0])
    assert (answer.degraded, [hit.id for hit in answer.hits]) == (True, ["a", "b"])
    assert not search.indexes.recover().degraded
    answer = search.by_values([0.0, 0.0, 0.0])
    assert (answer.backend, [hit.id for hit in answer.hits]) == ("engine", ["a", "b"])


def test_recovery_refills_what_was_spoilt(catalog: Catalog, box: Any, boxes: MakeBoxes) -> None:
    """Vectors that somebody changed in the engine fail the verification, and are replaced."""
    engine = Engine()
    catalog.add(boxes(a=(1, 0, 0), b=(2, 0, 0)))
    search = SimilaritySearch(catalog, box, engine, fallback=MemoryBackend(), probing=False)
    search.by_values([0.0, 0.0, 0.0])
    [rows] = engine.collections.values()
    rows.upsert(np.array([1], dtype=np.int64), np.full((1, 3), 50.0, np.float32))
    assert not search.indexes.recover().degraded
    assert [hit.id for hit in search.by_values([0.0, 0.0, 0.0]).hits] == ["a", "b"]


def test_key_texts_differ_where_keys_do() -> None:
    """Names that run into one another, and characters that engines refuse, stay apart."""
    keys = [
        IndexKey("c", "a_b", "s"),
        IndexKey("c", "a", "b_s"),
        IndexKey("c_a", "b", "s"),
        IndexKey("c", "aZ5fb", "s"),
        IndexKey("c", "größe 1.0/ä", "s"),
    ]
    texts = {key.text for key in keys}
    assert len(texts) == len(keys)
    assert all(text.replace("_", "").isalnum() and text.isascii() for text in texts)
