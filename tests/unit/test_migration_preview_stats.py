"""The preview of a migration: honest numbers from a sample, and its two warnings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from cadml_core.catalog.records import Content, NewPart, Vector
from cadml_core.catalog.store import Catalog
from cadml_core.documents.document import BoundingBox, CadDocument
from cadml_core.errors import InvalidInput, NotFound
from cadml_core.migration.migrator import Migrator
from cadml_plugins.features.v1 import V1
from cadml_plugins.features.v2 import V2
from cadml_plugins.features.v3 import V3
from cadml_plugins.features.v4 import V4
from tests.services import intake_over

FEATURES: dict[str, Any] = {"v1": V1, "v2": V2, "v3": V3, "v4": V4}
SLOTS = {"v1": 7, "v2": 12, "v3": 22, "v4": 24}


@pytest.fixture
def catalog(sqlite_url: str) -> Iterator[Catalog]:
    """An empty catalogue."""
    with Catalog.open(sqlite_url) as opened:
        yield opened


def fill(catalog: Catalog, **counts: int) -> None:
    """Register so many vectors of each version, without documents."""
    catalog.add(
        [
            NewPart(
                id=f"{version}-{i}", vectors={version: Vector(np.arange(float(SLOTS[version])), "registered")}
            )
            for version, count in counts.items()
            for i in range(count)
        ]
    )


def test_an_empty_catalogue_has_nothing_to_migrate(catalog: Catalog) -> None:
    """Zeros and no warning, and it can be done."""
    preview = Migrator(intake_over(catalog, FEATURES)).preview("v4")
    assert (preview.total_vectors, preview.to_migrate, preview.preview_items) == (0, 0, ())
    assert (preview.avg_delta, preview.median_delta, preview.warnings) == (0.0, 0.0, ())
    assert preview.migration_feasible


def test_mean_and_median_are_those_of_the_vectors_that_would_change(catalog: Catalog) -> None:
    """Deltas of 12, 2, 2 and 2 slots; what has the version already does not count."""
    fill(catalog, v2=1, v3=3, v4=5)
    preview = Migrator(intake_over(catalog, FEATURES)).preview("v4")
    assert preview.by_version == {"v2": 1, "v3": 3, "v4": 5}
    assert (preview.total_vectors, preview.to_migrate) == (9, 4)
    assert preview.avg_delta == pytest.approx((12 + 2 + 2 + 2) / 4)
    assert preview.median_delta == 2.0
    changes = preview.estimated_dimension_changes
    assert (changes.positive, changes.negative, changes.zero) == (4, 0, 0)
    item = preview.preview_items[0]
    assert (item.from_version, item.dimension_before, item.dimension_after) == ("v2", 12, 24)
    assert item.method == "by_name"
    assert preview.warnings == ()


@pytest.mark.parametrize(("shrinking", "warned"), [(5, False), (6, True)])
def test_more_than_half_shrinking_is_a_skew(catalog: Catalog, shrinking: int, warned: bool) -> None:
    """Exactly half is no warning yet."""
    fill(catalog, v4=shrinking, v2=10 - shrinking)
    preview = Migrator(intake_over(catalog, FEATURES)).preview("v3")
    assert preview.estimated_dimension_changes.negative == shrinking
    assert ("large_negative_skew" in preview.warnings) is warned


@pytest.mark.parametrize(("growing", "warned"), [(3, False), (4, True)])
def test_more_than_three_in_ten_doubling_is_a_spike(catalog: Catalog, growing: int, warned: bool) -> None:
    """7 to 22 slots more than doubles, 12 to 22 does not; exactly 30 % is no warning yet."""
    fill(catalog, v1=growing, v2=10 - growing)
    preview = Migrator(intake_over(catalog, FEATURES)).preview("v3")
    assert ("growth_spike" in preview.warnings) is warned
    assert "large_negative_skew" not in preview.warnings


def test_exactly_doubling_is_no_spike(catalog: Catalog) -> None:
    """12 to 24 slots is a growth of 100 %, not of more."""
    fill(catalog, v2=10)
    assert Migrator(intake_over(catalog, FEATURES)).preview("v4").warnings == ()


def test_a_document_makes_it_exact_and_an_unknown_version_impossible(catalog: Catalog) -> None:
    """With a document the values are recomputed; without one, and from a version nobody knows, not at all."""
    document = CadDocument(format="stl", bounding_box=BoundingBox((0.0,) * 3, (1.0,) * 3))
    content = Content(sha256="a" * 64, size=1, format="stl", adapter_version="1", document=document)
    catalog.add(
        [
            NewPart(id="file", content=content, vectors={"v1": Vector(np.zeros(7))}),
            NewPart(id="alien", vectors={"x9": Vector(np.zeros(3), "registered")}),
        ]
    )
    preview = Migrator(intake_over(catalog, FEATURES)).preview("v4")
    by_id = {item.id: item for item in preview.preview_items}
    assert by_id["file"].method == "recomputed"
    assert by_id["alien"].method == "failed"
    assert "x9" in (by_id["alien"].reason or "")
    assert not preview.migration_feasible


def test_the_sample_is_spread_over_the_catalogue(catalog: Catalog) -> None:
    """Not the first hundred: what was added last counts as much as what was added first."""
    fill(catalog, v1=50, v3=50)
    preview = Migrator(intake_over(catalog, FEATURES)).preview("v4", limit=10)
    assert [item.from_version for item in preview.preview_items] == ["v1"] * 5 + ["v3"] * 5
    assert (preview.to_migrate, preview.total_vectors) == (100, 100)


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_the_sample_is_bounded(catalog: Catalog, limit: int) -> None:
    """From 1 to 1000 vectors."""
    with pytest.raises(InvalidInput, match="allowed: 1 to 1000"):
        Migrator(intake_over(catalog, FEATURES)).preview("v4", limit=limit)


def test_an_unknown_version_is_refused(catalog: Catalog) -> None:
    """The message lists what is installed."""
    with pytest.raises(NotFound, match="v1, v2, v3, v4"):
        Migrator(intake_over(catalog, FEATURES)).preview("v5")
