"""Parts at hand are shown as they are now, whoever changed them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cadml_core.catalog.records import NewPart
from cadml_core.catalog.store import Catalog
from cadml_core.search import part_cache as module
from cadml_core.search.part_cache import PartCache


def test_changes_are_seen_at_once(catalog: Catalog, sqlite_url: str) -> None:
    """A part that another process changes or removes is shown so in the next question."""
    one, two = catalog.add([NewPart(id="a", label="old"), NewPart(id="b")])
    cache = PartCache(catalog)
    assert {row: part.label for row, part in cache.get([one.row, two.row, 99]).items()} == {1: "old", 2: None}
    with Catalog.open(sqlite_url) as other:
        other.add([NewPart(id="a", label="new")])
        assert cache.get([one.row])[one.row].label == "new"
        other.remove("a")
        assert cache.get([one.row, two.row]).keys() == {two.row}


def test_after_many_changes_it_begins_anew(catalog: Catalog, monkeypatch: Any) -> None:
    """More changes than are worth following one by one lose nothing either."""
    monkeypatch.setattr(module, "_FEW", 3)
    catalog.add([NewPart(id=f"p{i}", label="old") for i in range(10)])
    cache = PartCache(catalog)
    cache.get(range(1, 11))
    catalog.add([NewPart(id=f"p{i}", label="new") for i in range(10)])
    assert {part.label for part in cache.get(range(1, 11)).values()} == {"new"}


def test_what_is_kept_is_bounded(catalog: Catalog, monkeypatch: Any) -> None:
    """The memory it takes does not grow with the catalogue."""
    monkeypatch.setattr(module, "_CAPACITY", 5)
    catalog.add([NewPart(id=f"p{i}") for i in range(20)])
    cache = PartCache(catalog)
    for start in range(1, 20, 4):
        assert len(cache.get(range(start, start + 4))) == 4
        assert len(cache._known) <= 5


def test_under_a_storm_of_writes_nothing_stale_is_shown(catalog: Catalog) -> None:
    """Whoever changed a part sees the change in the next look, while others change others."""
    outcomes = catalog.add([NewPart(id=f"p{i}", label="0") for i in range(4)])
    cache = PartCache(catalog)

    def change(worker: int) -> bool:
        row = outcomes[worker].row
        for turn in range(30):
            catalog.add([NewPart(id=f"p{worker}", label=str(turn))])
            if cache.get([row])[row].label != str(turn):
                return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(change, range(4)))
