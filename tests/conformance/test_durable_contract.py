"""The contract of durable indexes is tested too: a wrong engine fails the test of the promise it breaks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from cadml_core import FloatMatrix, Hits, IndexKey, Int64Array, VectorIndex
from cadml_core.testing import DurableIndexContract
from cadml_core.testing.vector_backends import DIMENSION, KEY
from cadml_plugins.vectors.memory import MemoryBackend, MemoryConfig


class RightEngine:
    """Collections in memory that outlive the indexes opened on them."""

    def __init__(self) -> None:
        self.rows: dict[str, VectorIndex] = {}
        self.marks: dict[str, int] = {}

    def name(self, key: IndexKey) -> str:
        """Where the vectors of a key are."""
        return key.text

    def open(self, key: IndexKey = KEY) -> Index:
        """Connect to a collection."""
        name = self.name(key)
        if name not in self.rows:
            self.lose_mark(name)
            self.rows[name] = MemoryBackend().open(MemoryConfig(), key=key, dimension=DIMENSION, metric="l2")
        return Index(self, name)

    def lose_mark(self, name: str) -> None:
        """A mark without its collection is worth nothing."""
        self.marks.pop(name, None)

    def drop(self, key: IndexKey) -> None:
        """Delete a collection behind everybody's back."""
        self.rows.pop(self.name(key))

    def clear(self, name: str) -> None:
        """Empty a collection."""
        index = self.rows.pop(name)
        index.close()
        self.rows[name] = index
        self.marks.pop(name, None)

    def closed(self, name: str) -> None:
        """Nothing happens when a host hangs up."""

    def changed(self, name: str) -> None:
        """Nothing more happens when vectors change."""


class Index:
    """One connection."""

    def __init__(self, engine: RightEngine, name: str) -> None:
        self._engine, self._name = engine, name

    def upsert(self, ids: Int64Array, vectors: FloatMatrix) -> None:
        """Add or replace."""
        self._engine.rows[self._name].upsert(ids, vectors)
        self._engine.changed(self._name)

    def remove(self, ids: Int64Array) -> int:
        """Delete."""
        return self._engine.rows[self._name].remove(ids)

    def search(self, queries: FloatMatrix, k: int, allowed: Int64Array | None = None) -> Hits:
        """Search."""
        return self._engine.rows[self._name].search(queries, k, allowed)

    def __len__(self) -> int:
        return len(self._engine.rows[self._name])

    def close(self) -> None:
        """Hang up."""
        self._engine.closed(self._name)

    def applied_change(self) -> int:
        """The mark."""
        return self._engine.marks.get(self._name, 0)

    def mark_applied(self, change: int) -> None:
        """Set the mark."""
        self._engine.marks[self._name] = change

    def clear(self) -> None:
        """Empty the collection."""
        self._engine.clear(self._name)


class OneCollectionForAWidth(RightEngine):
    """Names collections by what it was told before there were keys."""

    def name(self, key: IndexKey) -> str:
        return str(DIMENSION)


class ForgetsTheCatalogue(RightEngine):
    """Keeps feature versions apart, but not catalogues."""

    def name(self, key: IndexKey) -> str:
        return f"{key.feature_version}/{key.space}"


class RunsNamesTogether(RightEngine):
    """Joins the components without caring where one ends."""

    def name(self, key: IndexKey) -> str:
        return f"{key.catalogue}_{key.feature_version}_{key.space}".replace("_scaled_scaled", "_scaled")


class KeepsMarksApart(RightEngine):
    """Still has the mark of a collection that is gone."""

    def lose_mark(self, name: str) -> None:
        """Keep it."""


class ClearsVectorsOnly(RightEngine):
    """Forgets to forget the mark."""

    def clear(self, name: str) -> None:
        mark = self.marks.get(name, 0)
        super().clear(name)
        self.marks[name] = mark


class ClearsEverything(RightEngine):
    """Empties the collections of all keys."""

    def clear(self, name: str) -> None:
        for each in list(self.rows):
            super().clear(each)


class LivesInMemory(RightEngine):
    """Is gone with its host."""

    def closed(self, name: str) -> None:
        self.rows.pop(name, None)


class MarksTooEarly(RightEngine):
    """Claims a change as soon as its vectors arrive."""

    def changed(self, name: str) -> None:
        self.marks[name] = self.marks.get(name, 0) + 1


def failures(kind: type[RightEngine]) -> set[str]:
    """Names of the contract's tests that an engine fails."""
    failed = set()
    for name in (name for name in dir(DurableIndexContract) if name.startswith("test_")):
        test = getattr(DurableIndexContract(), name)
        marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
        for other in marks[0].args[1] if marks else [None]:
            engine = kind()
            offered: dict[str, Any] = {"start": engine.open, "drop": engine.drop, "other": other}
            wanted = test.__code__.co_varnames[1 : test.__code__.co_argcount]
            run: Callable[[], None] = partial(test, **{key: offered[key] for key in wanted})
            try:
                run()
            except (Exception, pytest.fail.Exception):  # noqa: BLE001 - whatever it is, the engine failed
                failed.add(name)
    return failed


@pytest.mark.parametrize(
    ("kind", "caught_by"),
    [
        (RightEngine, None),
        (OneCollectionForAWidth, "test_keys_of_equal_width_share_nothing"),
        (ForgetsTheCatalogue, "test_keys_of_equal_width_share_nothing"),
        (RunsNamesTogether, "test_keys_of_equal_width_share_nothing"),
        (KeepsMarksApart, "test_a_lost_collection_takes_its_mark_with_it"),
        (ClearsVectorsOnly, "test_clear_drops_vectors_and_mark"),
        (ClearsEverything, "test_keys_of_equal_width_share_nothing"),
        (LivesInMemory, "test_survives_a_restart"),
        (MarksTooEarly, "test_a_half_applied_change_is_applied_again"),
    ],
)
def test_durable_indexes(kind: type[RightEngine], caught_by: str | None) -> None:
    """A right engine passes; each broken promise fails the test that is there for it."""
    failed = failures(kind)
    assert failed == set() if caught_by is None else caught_by in failed
