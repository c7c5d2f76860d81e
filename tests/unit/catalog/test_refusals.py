"""The table of contents that could not be read."""

from __future__ import annotations

from cadml_core.catalog.refusals import Refusal, Refusals
from cadml_core.catalog.store import Catalog


def test_remembers_each_reader_until_it_forgets(database_url: str) -> None:
    """One row for each content and reader, the latest; forgetting a content forgets all its readers."""
    with Catalog.open(database_url) as catalog:
        refusals = Refusals(catalog)
        assert refusals.of(["a" * 64]) == {}
        first = Refusal("a" * 64, "stl 1 {}", "/parts/Größe.stl", '{"code": "x"}', "2026-01-01T00:00:00Z")
        later = Refusal("a" * 64, "stl 1 {}", "/parts/b.stl", '{"code": "y"}', "2026-01-02T00:00:00Z")
        newer = Refusal("a" * 64, "stl 2 {}", "/parts/b.stl", '{"code": "y"}', "2026-01-03T00:00:00Z")
        other = Refusal("b" * 64, "stl 1 {}", "/parts/c.stl", '{"code": "z"}', "2026-01-03T00:00:00Z")
        for refusal in (first, later, newer, other):
            refusals.remember(refusal)
        found = refusals.of(["a" * 64, "c" * 64])
        assert {sha: sorted(several, key=lambda one: one.reader) for sha, several in found.items()} == {
            "a" * 64: [later, newer]
        }
        before = catalog.last_change()
        refusals.forget(["a" * 64, "c" * 64])
        assert refusals.of(["a" * 64, "b" * 64]) == {"b" * 64: [other]}
        assert catalog.last_change() == before
