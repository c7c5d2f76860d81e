"""What combined searches remember of parts is never older than the catalogue."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from cadml_core import CadDocument
from cadml_core.catalog.records import Content, NewPart, Vector
from cadml_core.catalog.store import Catalog
from cadml_core.contracts.features import PlacedVersion
from cadml_core.documents.arrays import FloatMatrix, FloatVector
from cadml_core.errors import CatalogueUnavailable
from cadml_core.search import placed
from cadml_core.search.placed import Places
from cadml_core.search.subjects import Subjects
from tests.unit.search.conftest import Box


class PlacedBox(Box):
    """Boxes that lie where their extents say."""

    blocks: Mapping[str, slice] = {"all": slice(0, 3)}
    candidates = 5

    def __init__(self) -> None:
        self.placed = 0

    def place(self, values: FloatMatrix) -> NDArray[np.float32]:
        """Count the rows, and return them."""
        self.placed += len(values)
        return values.astype(np.float32)

    def between(self, query: NDArray[np.float32], candidates: NDArray[np.float32]) -> FloatVector:
        """Return the Euclidean distances."""
        return np.asarray(np.linalg.norm(candidates - query, axis=1), np.float64)

    def refine(self, query: FloatVector, candidates: FloatMatrix) -> FloatVector:
        """Return the Euclidean distances."""
        return np.asarray(np.linalg.norm(candidates - query, axis=1), np.float64)

    def block_shares(self, query: FloatVector, candidates: FloatMatrix) -> FloatMatrix:
        """Return ones."""
        return np.ones((len(candidates), 1))


def add(catalog: Catalog, **parts: float) -> None:
    """Add boxes, or change them."""
    catalog.add([NewPart(id=name, vectors={"box": Vector(np.full(3, side))}) for name, side in parts.items()])


def widths(catalog: Catalog, places: Places, *ids: str) -> dict[str, float]:
    """Where boxes lie, by id."""
    names = {catalog.part(one).row: one for one in ids}
    rows, found = places.of([*names, 10**9])
    assert len(rows) == len(found)
    return dict(zip(map(names.__getitem__, rows.tolist()), found[:, 0].tolist(), strict=True))


def test_a_place_is_worked_out_once_and_again_after_a_change(catalog: Catalog) -> None:
    """What did not change stays; what was removed or never had the version is left out."""
    version = PlacedBox()
    assert isinstance(version, PlacedVersion)
    places = Places(catalog, version)
    add(catalog, a=1.0, b=2.0)
    catalog.add([NewPart(id="bare")])
    assert widths(catalog, places, "a", "b", "bare") == {"a": 1.0, "b": 2.0}
    assert widths(catalog, places, "a", "b") == {"a": 1.0, "b": 2.0}
    assert version.placed == 2
    add(catalog, a=5.0)
    assert widths(catalog, places, "a", "b") == {"a": 5.0, "b": 2.0}
    assert version.placed == 3
    gone = catalog.part("b").row
    catalog.remove("b")
    assert places.of([catalog.part("a").row, gone])[0].tolist() == [catalog.part("a").row]


def test_no_more_is_kept_than_there_is_room_for(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """All are dropped, and what is asked for is still answered."""
    monkeypatch.setattr(placed, "_CAPACITY", 2)
    places = Places(catalog, PlacedBox())
    add(catalog, a=1.0, b=2.0, c=3.0)
    for _ in range(2):
        assert widths(catalog, places, "a", "b") == {"a": 1.0, "b": 2.0}
        assert widths(catalog, places, "c") == {"c": 3.0}


def test_a_content_that_is_read_anew_is_decoded_anew(catalog: Catalog) -> None:
    """With another version of its reader, the document is the new one."""
    subjects = Subjects(catalog)
    for version, solids in (("1", 1), ("2", 7)):
        content = Content(
            sha256="a" * 64,
            size=1,
            format="step",
            adapter_version=version,
            document=CadDocument(format="step", solid_count=solids),
        )
        catalog.add([NewPart(id="a", content=content)])
        for _ in range(2):
            assert subjects.of(["a" * 64, "b" * 64])["a" * 64].document.solid_count == solids


def test_a_content_that_the_disk_has_changed_is_not_compared(catalog: Catalog) -> None:
    """What is no longer what was written must not become a proof."""
    document = CadDocument(format="step", solid_count=7)
    content = Content(sha256="a" * 64, size=1, format="step", adapter_version="1", document=document)
    catalog.add([NewPart(id="a", content=content)])
    with catalog.database.write() as connection:
        connection.exec_driver_sql(
            """UPDATE contents SET summary = replace(summary, '"solid_count":7', '"solid_count":8')"""
        )
    with pytest.raises(CatalogueUnavailable, match="is not what was written"):
        Subjects(catalog).of(["a" * 64])
