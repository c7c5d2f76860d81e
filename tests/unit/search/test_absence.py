"""A search that finds nothing says why, and what to do."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from cadml_core.catalog.records import NewPart, PartFilter, Vector
from cadml_core.catalog.store import Catalog
from cadml_core.errors import InvalidInput, NotFound
from cadml_core.search.filters import SlotRange
from cadml_core.search.similarity import SimilaritySearch
from cadml_core.search.sizes import extents_in, extents_of, sized
from cadml_plugins.features.v4 import V4
from cadml_plugins.vectors.memory import MemoryBackend


@pytest.fixture
def search(catalog: Catalog, box: Any) -> SimilaritySearch:
    """A search over the three slots."""
    return SimilaritySearch(catalog, box, MemoryBackend())


def note(search: SimilaritySearch, **asked: Any) -> str:
    """What an empty answer says."""
    result = search.by_values([1.0, 2.0, 3.0], **asked)
    assert result.hits == ()
    assert result.note is not None
    return result.note


def test_the_reason_fits_the_catalogue(search: SimilaritySearch, catalog: Catalog, boxes: Any) -> None:
    """Empty, without vectors, or with those of another version: each has another remedy."""
    assert "empty; `cadml ingest FOLDER`" in note(search)
    catalog.add([NewPart(id="bare", name="bolt")])
    assert note(search).startswith("none of the 1 parts has a vector; compute them: `cadml migrate run box`")
    catalog.add([NewPart(id=str(n), vectors={"v9": Vector(np.ones(4))}) for n in range(2)])
    assert "holds 2 of v9; search with `--version v9`" in note(search)
    catalog.add(boxes(a=(1, 2, 3)))
    assert search.by_values([1.0, 2.0, 3.0]).note is None


def test_the_filter_that_excluded_everything_is_named(
    search: SimilaritySearch, catalog: Catalog, boxes: Any
) -> None:
    """With how many parts there are without it, and whether it was the score."""
    catalog.add(boxes(a=(1, 2, 3), b=(9, 9, 9)))
    catalog.add([NewPart(id="a", material="steel"), NewPart(id="c", material="gold")])
    told = note(search, which=PartFilter(material="brass", text="bolt"))
    assert told == (
        "the filter excluded everything: no part has the material 'brass' and the text 'bolt';"
        " without it there are 2"
    )
    assert "no part has the material 'gold'" in note(search, which=PartFilter(material="gold"))
    assert "no part has width within its range" in note(search, ranges=[SlotRange("width", 50.0)])
    far = {"which": PartFilter(text="b"), "min_score": 0.9}
    assert note(search, **far) == "1 parts have the text 'b', and none of them scores 0.9 or more"
    assert "no other part has the material 'steel'" in str(
        search.by_id("a", which=PartFilter(material="steel")).note
    )
    catalog.remove("b")
    assert search.by_id("a").note == "the catalogue holds no other part with a box vector"
    assert search.by_id("a", min_score=1.0).note == "none of the 1 parts scores 1 or more"


def test_a_part_of_another_version_says_what_it_has(search: SimilaritySearch, catalog: Catalog) -> None:
    """And a part that does not exist is just that."""
    catalog.add([NewPart(id="a", vectors={"v9": Vector(np.ones(4))}), NewPart(id="b")])
    with pytest.raises(NotFound, match=r"it has v9: search with one of them, or .*`cadml migrate run box`"):
        search.by_id("a")
    with pytest.raises(NotFound, match="it has no other, or compute it"):
        search.by_id("b")
    with pytest.raises(NotFound, match="no part 'c'"):
        search.by_id("c")


def test_sizes_are_relative_and_sorted() -> None:
    """Each length may be off by so many per cent of itself; at 0 only rounding is forgiven."""
    which = sized(PartFilter(label="x"), (10.0, 200.0, 0.0), 10.0)
    assert which.label == "x"
    assert np.allclose(np.array(which.extents), [(180, 220), (9, 11), (0, 0)], atol=1e-6)
    exact = sized(None, (1.0, 2.0, 3.0), 0.0).extents
    assert exact is not None
    assert all(low < length < high for (low, high), length in zip(exact, (3.0, 2.0, 1.0), strict=True))
    for impossible in (-1.0, 1001.0, float("nan")):
        with pytest.raises(InvalidInput, match="size_within"):
            sized(None, (1.0, 2.0, 3.0), impossible)


def test_a_size_comes_from_slots_or_from_the_file(catalog: Catalog, box: Any) -> None:
    """Where there is none, that is said."""
    raw = np.zeros(len(V4.slots))
    raw[1:4] = 3.0, 1.0, 2.0
    assert list(extents_in(V4, raw)) == [3.0, 1.0, 2.0]
    with pytest.raises(InvalidInput, match="box has no slots bbox_width"):
        extents_in(box, np.zeros(3))
    catalog.add([NewPart(id="registered")])
    with pytest.raises(InvalidInput, match="no geometry of its own"):
        extents_of(catalog, "registered")


def test_the_note_is_part_of_the_answer(search: SimilaritySearch) -> None:
    """Whoever encodes the result sends it too."""
    assert "ingest" in msgspec.to_builtins(search.by_values([1.0, 2.0, 3.0]))["note"]
