"""Families: clusters that agree with a library's, names and numbers that stay, honest labels."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import adjusted_rand_score, v_measure_score

from cadml_core import CadDocument, FeatureSlot, FloatMatrix, FloatVector, Metric
from cadml_core.catalog.records import NewPart, Vector
from cadml_core.catalog.store import Catalog
from cadml_core.families.clusters import clusters, unrelated, v_measure
from cadml_core.families.families import Space, find_families
from cadml_core.families.memory import FamilyMemory, numbered
from cadml_core.families.naming import sizes_of, words_of
from cadml_core.families.neighbours import neighbours
from cadml_core.families.scatter import flattened, scatter
from cadml_core.families.suggestions import accept, suggest

KINDS = ("washer", "hex_nut", "bracket", "spacer")


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """An empty catalogue."""
    with Catalog.open(f"sqlite:///{tmp_path / 'c.sqlite3'}") as opened:
        yield opened


class Plain:
    """A feature version whose raw values are its space."""

    name = "plain"
    slots: tuple[FeatureSlot, ...] = ()
    needs_mesh = False
    metric: Metric = "l2"

    def extract(self, document: CadDocument) -> FloatVector:
        """Never asked: the tests give the values."""
        raise NotImplementedError

    def embed(self, values: FloatMatrix) -> FloatMatrix:
        """Return the values."""
        return np.asarray(values, np.float32)


PLAIN = Plain()


def values(kind: int, number: int) -> FloatVector:
    """Raw values of a part of a kind: near one another, far from other kinds."""
    place = 10.0 * np.random.default_rng(kind).normal(size=8)
    found: FloatVector = place + np.random.default_rng(1000 * kind + number).normal(0.0, 0.3, 8)
    return found


def add(catalog: Catalog, kind: int, number: int, *, label: bool = True, **facts: str) -> str:
    """Add a part; returns its id."""
    name = f"{KINDS[kind]} M{3 + number} v{number}.step"
    part = NewPart(
        id=f"{kind}-{number}",
        name=name,
        path=f"/{facts.get('folder', KINDS[kind])}/{name}",
        label=KINDS[kind] if label else None,
        vectors={PLAIN.name: Vector(values(kind, number))},
    )
    return catalog.add([part])[0].id


def filled(catalog: Catalog, each: int = 12, **options: bool) -> Catalog:
    """Fill a catalogue with all kinds."""
    for kind in range(len(KINDS)):
        for number in range(each):
            add(catalog, kind, number, **options)  # type: ignore[arg-type]
    return catalog


def test_families_are_those_that_were_made(catalog: Catalog) -> None:
    """Each kind is one family, named by its label, with the range of its sizes; nobody stands out."""
    found = find_families(filled(catalog), PLAIN)
    assert [(one.name, one.size) for one in found.families] == [
        (name.replace("_", " "), 12) for name in KINDS
    ]
    assert {one.sizes for one in found.families} == {"M3-M14"}
    assert (found.alone, found.outliers, found.fitted) == (0, [], 1.0)


def test_names_come_from_words_where_there_is_no_label(catalog: Catalog) -> None:
    """What most names have, in their order, without numbers and suffixes."""
    found = find_families(filled(catalog, label=False), PLAIN, cut=0.3)
    assert {one.name for one in found.families} == {"washer", "hex nut", "bracket", "spacer"}


def test_a_part_that_is_filed_with_others_stands_out(catalog: Catalog) -> None:
    """It looks like a washer and lies in the folder of spacers."""
    filled(catalog, label=False)
    odd = add(catalog, 0, 40, label=False, folder="spacer")
    [outlier] = find_families(catalog, PLAIN, cut=0.3).outliers
    assert (outlier.part, outlier.by) == (odd, "folder")
    assert (outlier.looks_like, outlier.filed_as) == ("washer", "spacer")


def test_numbers_and_names_stay(catalog: Catalog) -> None:
    """New parts, lost parts and another order change no family's number or name."""
    before = {one.name: one.id for one in find_families(filled(catalog), PLAIN).families}
    catalog.remove(*(f"0-{number}" for number in range(5)))
    for number in range(12, 16):
        add(catalog, 1, number)
        catalog.add([NewPart(id=f"1-{number}", label="renamed")])
    after = {one.name: one.id for one in find_families(catalog, PLAIN).families}
    assert after == before
    catalog.remove(*(f"3-{number}" for number in range(12)))
    find_families(catalog, PLAIN)
    for number in range(20, 30):
        add(catalog, 3, number)
    again = {one.name: one.id for one in find_families(catalog, PLAIN).families}
    assert again["spacer"] not in before.values()
    assert max(FamilyMemory(catalog).names()) == again["spacer"]


def test_looking_changes_nothing(catalog: Catalog) -> None:
    """Families that are not to be remembered leave no trace."""
    find_families(filled(catalog), PLAIN, remember=False)
    assert FamilyMemory(catalog).members() == {}


def test_an_empty_library_has_no_families(catalog: Catalog) -> None:
    """Nor has one of a single part."""
    assert find_families(catalog, PLAIN).families == []
    add(catalog, 0, 0)
    found = find_families(catalog, PLAIN)
    assert (found.parts, found.alone, found.families) == (1, 1, [])


@given(
    found=st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=5, unique=True), max_size=6),
    before=st.dictionaries(st.integers(0, 30), st.integers(1, 5)),
)
def test_every_cluster_gets_a_number_of_its_own(found: list[list[int]], before: dict[int, int]) -> None:
    """Of those before, or one that was never given."""
    known = {str(part): number for part, number in before.items()}
    numbers = numbered([[str(part) for part in parts] for parts in found], known, 5)
    assert len(set(numbers)) == len(numbers) == len(found)
    for parts, number in zip(found, numbers, strict=True):
        assert number > 5 or number in {known.get(str(part)) for part in parts}


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.floats(0.05, 2.0))
def test_clusters_are_those_of_average_linkage(seed: int, cut: float) -> None:
    """Going by components of near points changes nothing while every near point is a neighbour."""
    points = np.random.default_rng(seed).normal(size=(24, 3)).astype(np.float32)
    whole = fcluster(linkage(points.astype(np.float64), "average"), cut, "distance")
    assert adjusted_rand_score(whole, clusters(points, neighbours(points), cut)) == 1.0


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_the_measure_is_that_of_the_literature(pairs: list[tuple[int, int]]) -> None:
    """It agrees with scikit-learn's."""
    truth, found = (np.array(column, np.int64) for column in zip(*pairs, strict=True))
    assert v_measure(truth, found) == pytest.approx(v_measure_score(truth, found), abs=1e-9)


def test_neighbours_are_the_nearest() -> None:
    """Over several blocks, without the point itself."""
    points = np.random.default_rng(0).normal(size=(2_300, 8)).astype(np.float32)
    near = neighbours(points, 5)
    for place in (0, 999, 1_000, 2_299):
        gaps = np.linalg.norm(points - points[place], axis=1)
        gaps[place] = np.inf
        assert set(near.indices[place].tolist()) == set(np.argsort(gaps)[:5].tolist())
    assert unrelated(points) == unrelated(points)


def test_labels_are_suggested_with_a_measured_confidence(catalog: Catalog) -> None:
    """Parts without a label get that of their kind, and only once: what somebody labelled since stays."""
    filled(catalog)
    bare = [add(catalog, kind, 50, label=False) for kind in range(len(KINDS))]
    found = suggest(Space.of(catalog, PLAIN))
    assert {one.part: one.label for one in found} == dict(zip(bare, KINDS, strict=True))
    assert all(0.8 < one.confidence < 1.0 for one in found)
    catalog.add([NewPart(id=bare[0], label="special")])
    assert accept(catalog, found) == len(KINDS) - 1
    assert catalog.part(bare[0]).label == "special"
    assert catalog.part(bare[1]).label == KINDS[1]
    assert suggest(Space.of(catalog, PLAIN)) == []


def test_random_labels_get_no_confidence(catalog: Catalog) -> None:
    """Where labels say nothing of shapes, suggestions say that they are mostly wrong."""
    generator = np.random.default_rng(0)
    for number in range(60):
        label = str(generator.integers(0, 6))
        vectors = {PLAIN.name: Vector(values(0, number))}
        catalog.add([NewPart(id=str(number), label=label if number < 50 else None, vectors=vectors)])
    found = suggest(Space.of(catalog, PLAIN))
    assert len(found) == 10
    assert sum(one.confidence for one in found) / len(found) < 0.5


def test_too_few_labels_suggest_nothing(catalog: Catalog) -> None:
    """A confidence needs parts on which it can be measured."""
    for number in range(8):
        add(catalog, 0, number, label=number < 5)
    assert suggest(Space.of(catalog, PLAIN)) == []


def test_names_and_sizes(catalog: Catalog) -> None:
    """Threads where names state them, else the longest extents; no words where names share none."""
    add(catalog, 0, 0)
    part = catalog.part("0-0")
    assert sizes_of([part], [10.0]) == "M3"
    catalog.add([NewPart(id="x", name="17.step"), NewPart(id="y", name="18.stl")])
    plain = [catalog.part("x"), catalog.part("y")]
    assert words_of(plain) is None
    assert sizes_of(plain, [10.0, 25.0]) == "10-25 mm"
    assert sizes_of(plain, [10.0, 10.001]) == "10 mm"
    assert sizes_of(plain, []) is None


def test_the_map_is_a_picture_whatever_parts_are_called() -> None:
    """Well-formed, a point for each part with its name, nothing that runs; the same for the same parts."""
    points = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    names = ["</title><script>alert(1)</script>"] * 39 + ["\x00\x1b[31m"]
    groups = ["a&b<"] * 20 + [None] * 20
    drawn = scatter(flattened(points), names, groups, "Parts")
    root = ET.fromstring(drawn)
    assert drawn == scatter(flattened(points), names, groups, "Parts")
    assert "script" not in {element.tag.partition("}")[2] for element in root.iter()}
    assert sum(element.tag.endswith("circle") for element in root.iter()) == 41
    for count in (0, 1, 2):
        ET.fromstring(scatter(flattened(points[:count]), names[:count], groups[:count], "Parts"))
