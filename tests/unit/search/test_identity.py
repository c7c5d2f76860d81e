"""The space of invariants: what it proposes, and that it follows the catalogue."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from cadml_core import BoundingBox, CadDocument
from cadml_core.catalog.records import Content, NewPart
from cadml_core.catalog.store import Catalog
from cadml_core.documents.invariants import BodyInvariants, Invariants
from cadml_core.search.identity import IdentitySpace

SIZE = BodyInvariants(volume=6000.0, area=2200.0, moments=(8.0, 33.0, 75.0))


def invariants(*, factor: float = 1.0, exact: bool = True, count: int = 1) -> Invariants:
    """Invariants of a body in some size, placed so often."""
    body = msgspec.structs.replace(SIZE.scaled(factor), count=count)
    spread = msgspec.structs.replace(SIZE, volume=count * SIZE.volume, area=count * SIZE.area)
    return Invariants(spread.scaled(factor), (body,) if exact else (), exact)


def add(catalog: Catalog, name: str, found: Invariants | None) -> None:
    """Add a part with these invariants; its name stands for its sha256."""
    box = BoundingBox((0.0, 0.0, 0.0), (30.0, 20.0, 10.0))
    document = CadDocument(format="step", bounding_box=box, invariants=found)
    content = Content(sha256=name * 64, size=1, format="step", adapter_version="1", document=document)
    catalog.add([NewPart(id=name, content=content)])


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """An empty catalogue."""
    return Catalog.open(f"sqlite:///{tmp_path}/catalog.sqlite3")


def names(space: IdentitySpace, wanted: Invariants) -> str:
    """Names of the proposed contents, sorted."""
    return "".join(sorted(sha256[0] for sha256 in space.candidates(wanted)))


def test_copies_scaled_ones_wholes_parts_and_meshes_are_proposed(catalog: Catalog) -> None:
    """Each kind that can be proved is proposed; of parts that merely are near, meshes alone."""
    add(catalog, "a", invariants())
    add(catalog, "b", invariants(factor=2.0))
    add(catalog, "c", invariants(count=4))
    add(catalog, "d", invariants(factor=1.01, exact=False))
    add(catalog, "e", None)
    changed = msgspec.structs.replace(SIZE, area=SIZE.area * 1.01)
    add(catalog, "f", Invariants(changed, (changed,)))
    space = IdentitySpace(catalog)
    assert names(space, invariants()) == "abcd"
    assert names(space, invariants(count=4)) == "ac"
    assert names(space, invariants(exact=False)) == "adf"
    assert names(space, Invariants(BodyInvariants(volume=0.0, area=0.0, moments=(0.0, 0.0, 0.0)))) == ""


def test_it_follows_the_catalogue(catalog: Catalog) -> None:
    """What was added or read anew after a search is in the next."""
    add(catalog, "a", invariants())
    space = IdentitySpace(catalog)
    assert names(space, invariants()) == "a"
    add(catalog, "b", invariants())
    assert names(space, invariants()) == "ab"
    for number in range(1_010):
        catalog.register_vector(f"vector-{number}", "v3", [0.0] * 22)  # type: ignore[arg-type]
    add(catalog, "c", invariants())
    assert names(space, invariants()) == "abc"
