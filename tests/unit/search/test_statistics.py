"""Counts, spreads and differences are those of the stored values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cadml_core.catalog.records import NewPart, PartFilter, Vector
from cadml_core.catalog.store import Catalog
from cadml_core.errors import InvalidInput, NotFound
from cadml_core.search.differences import feature_difference
from cadml_core.search.filters import SlotRange
from cadml_core.search.similarity import SimilaritySearch
from cadml_core.search.statistics import vector_statistics
from cadml_plugins.vectors.memory import MemoryBackend


def test_counts_and_spreads(catalog: Catalog, box: Any, boxes: Any) -> None:
    """Mean and standard deviation of each slot as numpy computes them, also for huge values."""
    catalog.add(boxes(a=(1, 2, 1e200), b=(3, 2, 3e200)))
    catalog.add([NewPart(id="c", material="steel", vectors={"other": Vector(np.ones(2))})])
    found = vector_statistics(catalog, box)
    assert (found.total_parts, found.total_vectors) == (3, 3)
    assert found.by_material == {"": 2, "steel": 1}
    assert found.by_version == {"box": 2, "other": 1}
    assert found.by_format == {"": 3}
    width, height, depth = found.slots
    assert (width.mean, width.standard_deviation, width.minimum, width.maximum) == (2.0, 1.0, 1.0, 3.0)
    assert height.standard_deviation == 0.0
    assert depth.standard_deviation == pytest.approx(1e200)


def test_an_empty_catalogue_has_no_spread(catalog: Catalog, box: Any) -> None:
    """Zero parts, no slots, and no NaN anywhere."""
    found = vector_statistics(catalog, box)
    assert (found.total_parts, found.slots, found.by_format) == (0, (), {})


def test_two_parts_compared(catalog: Catalog, box: Any, boxes: Any) -> None:
    """Raw values, their difference, and each slot's share of the distance."""
    catalog.add(boxes(a=(1, 2, 300), b=(4, 6, 300)))
    found = feature_difference(catalog, box, "a", "b")
    assert found.distance == 5.0
    assert [(item.slot, item.unit, item.difference) for item in found.slots] == [
        ("width", "mm", 3.0),
        ("height", "mm", 4.0),
        ("depth", "mm", 0.0),
    ]
    assert [item.share for item in found.slots] == pytest.approx([0.36, 0.64, 0.0])
    with pytest.raises(NotFound):
        feature_difference(catalog, box, "a", "nobody")


class TestPairs:
    """Two parts as query and hit."""

    def test_agrees_with_searching(self, catalog: Catalog, box: Any, boxes: Any) -> None:
        """Score, distance and shares are those that a search for the one gives the other."""
        catalog.add(boxes(a=(1, 2, 300), b=(4, 6, 100), zero=(0, 0, 0)))
        search = SimilaritySearch(catalog, box, MemoryBackend())
        for metric in ("scaled", "cosine_raw"):
            for hit in search.by_id("a", metric=metric, explain=True).hits:
                pair = search.pair("a", hit.id, metric=metric)
                assert (pair.id, pair.name) == (hit.id, hit.name)
                assert (pair.score, pair.distance) == pytest.approx((hit.score, hit.distance), abs=1e-6)
                assert pair.explanation == hit.explanation


class TestRanges:
    """Filters on slots."""

    @pytest.fixture
    def search(self, catalog: Catalog, box: Any) -> SimilaritySearch:
        """Parts of growing width, every third of steel."""
        catalog.add(
            [
                NewPart(
                    id=f"p{i}",
                    material="steel" if i % 3 == 0 else None,
                    vectors={"box": Vector(np.array([float(i), 0.0, 0.0]))},
                )
                for i in range(20)
            ]
        )
        return SimilaritySearch(catalog, box, MemoryBackend())

    def found(self, search: SimilaritySearch, *ranges: SlotRange, **options: Any) -> list[str]:
        """Ids of the hits near 0."""
        hits = search.by_values([0, 0, 0], k=3, ranges=ranges, **options).hits
        return [hit.id for hit in hits]

    def test_before_the_cut_and_both_ends_included(self, search: SimilaritySearch) -> None:
        """k hits come back from within the range, together with other filters."""
        assert self.found(search, SlotRange("width", 10, 12)) == ["p10", "p11", "p12"]
        assert self.found(search, SlotRange("width", minimum=18)) == ["p18", "p19"]
        assert self.found(search, SlotRange("width", 5), SlotRange("height", maximum=-1)) == []
        steel = PartFilter(material="steel")
        assert self.found(search, SlotRange("width", 4), which=steel) == ["p6", "p9", "p12"]

    def test_follows_the_catalogue(self, search: SimilaritySearch, catalog: Catalog) -> None:
        """What a filter admits is worked out anew when something changed."""
        wide = SlotRange("width", minimum=100)
        assert self.found(search, wide) == []
        catalog.add([NewPart(id="new", vectors={"box": Vector(np.array([100.0, 0.0, 0.0]))})])
        assert self.found(search, wide) == ["new"]

    @pytest.mark.parametrize(
        "wrong", [SlotRange("weight"), SlotRange("width", 2, 1), SlotRange("width", float("nan"))]
    )
    def test_impossible_ranges_are_refused(self, search: SimilaritySearch, wrong: SlotRange) -> None:
        """An unknown slot, bounds the wrong way round, or NaN."""
        with pytest.raises(InvalidInput, match=wrong.slot):
            self.found(search, wrong)
