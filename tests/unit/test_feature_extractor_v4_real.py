"""The owner's plan for v4: its boundary table, its worked formula and its twelve cases."""

from __future__ import annotations

import math
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from prometheus_client import REGISTRY

from cadml_core import BoundingBox, CadDocument, MalformedFile, ReadLimits, convert_by_name
from cadml_core.plugins.loader import load_plugins
from cadml_core.plugins.registry import Registry
from cadml_core.reading.pool import ReaderPool
from cadml_core.reading.reading import read_file
from cadml_core.settings import Settings

BOX = BoundingBox((0.0, 0.0, 0.0), (30.0, 20.0, 10.0))


@pytest.fixture(scope="module")
def registry() -> Registry:
    """The built-in plugins."""
    return load_plugins(Settings(safe_mode=True)).registry


def document(**kinds: int) -> CadDocument:
    """A document of so many entities of each kind."""
    total = sum(kinds.values())
    return CadDocument(
        format="step",
        entity_counts=kinds,
        surface_count=total,
        solid_count=1,
        layers=("part",),
        bounding_box=BOX,
        unit="mm",
    )


def v4(registry: Registry, subject: CadDocument) -> dict[str, float]:
    """The raw v4 values by slot name."""
    version = registry.features["v4"]
    values = version.extract(subject).tolist()
    return dict(zip((slot.name for slot in version.slots), values, strict=True))


def surface_and_entropy(registry: Registry, subject: CadDocument) -> tuple[float, float]:
    """The two slots that v4 adds."""
    values = v4(registry, subject)
    return values["surface_count"], values["shape_entropy"]


def test_01_empty_document(registry: Registry) -> None:
    """No geometry: surface count 0 and entropy 0.0, and every other slot 0 too."""
    values = v4(registry, CadDocument(format="dxf"))
    assert set(values.values()) == {0.0}


def test_02_single_kind(registry: Registry) -> None:
    """N entities of one kind: surface count N, entropy exactly 0.0."""
    assert surface_and_entropy(registry, document(plane=100)) == (100.0, 0.0)


@pytest.mark.parametrize("kinds", [2, 4, 7])
def test_03_uniform_kinds(registry: Registry, kinds: int) -> None:
    """K kinds alike: surface count N, entropy 1 whatever K is."""
    subject = document(**{f"kind{number}": 25 for number in range(kinds)})
    count, entropy = surface_and_entropy(registry, subject)
    assert count == 25 * kinds
    assert entropy == pytest.approx(1.0, abs=1e-12)


def test_04_extreme_skew(registry: Registry) -> None:
    """90 % of one kind: below 0.5, and the value that the smoothed formula gives by hand."""
    count, entropy = surface_and_entropy(registry, document(plane=90, cylinder=10))
    p, q = 91 / 102, 11 / 102
    assert count == 100
    assert entropy == pytest.approx(-(p * math.log(p) + q * math.log(q)) / math.log(2), abs=1e-12)
    assert entropy == pytest.approx(0.4934, abs=5e-5)
    assert entropy < 0.5


def test_05_massive_repetition(registry: Registry) -> None:
    """A million copies of one entity beside a single other: counted in full, entropy near 0."""
    count, entropy = surface_and_entropy(registry, document(plane=1_000_000, torus=1))
    assert count == 1_000_001
    assert 0.0 < entropy < 0.001


@pytest.mark.parametrize("kinds", [10, 12, 30])
def test_06_high_diversity(registry: Registry, kinds: int) -> None:
    """Ten kinds and more, nearly alike: above 0.9."""
    subject = document(**{f"kind{number}": 5 + number % 2 for number in range(kinds)})
    assert surface_and_entropy(registry, subject)[1] > 0.9


def test_07_missing_fields(registry: Registry) -> None:
    """A document that lacks its box, its layers or its counts still gives 24 finite values."""
    sparse = [
        CadDocument(format="iges", surface_count=3),
        CadDocument(format="iges", entity_counts={"plane": 3, "cone": 0}),
        CadDocument(format="iges", bounding_box=BoundingBox((0, 0, 0), (0, 0, 0))),
        CadDocument(format="iges", layers=("only a layer",)),
    ]
    for subject in sparse:
        values = registry.features["v4"].extract(subject)
        assert values.shape == (24,)
        assert np.isfinite(values).all()
    assert v4(registry, sparse[1])["shape_entropy"] == 0.0, "a kind counted zero times does not occur"


def test_08_concurrent_extraction_agrees(registry: Registry) -> None:
    """Eight threads extract the same documents and get the same values."""
    subjects = [document(plane=n + 1, cylinder=2 * n, torus=n % 5) for n in range(50)] * 8
    version = registry.features["v4"]
    alone = [version.extract(subject) for subject in subjects]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(version.extract, subjects))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_09_entropy_is_between_0_and_1(registry: Registry) -> None:
    """Over two thousand random distributions the entropy never leaves [0, 1] and is never NaN."""
    random = np.random.default_rng(17)
    for _ in range(2000):
        counts = random.integers(1, 10 ** random.integers(1, 7), size=random.integers(1, 40))
        subject = document(**{f"kind{index}": int(count) for index, count in enumerate(counts)})
        assert 0.0 <= surface_and_entropy(registry, subject)[1] <= 1.0


def test_10_v4_costs_little_more_than_v3(registry: Registry) -> None:
    """v4 does at most a quarter more work than v3. Counted in function calls, which do not depend on the
    machine's mood; the ratio of times stands in the benchmarks, where time belongs."""
    for subject in (CadDocument(format="dxf"), document(plane=90, cylinder=10, cone=7, torus=3, sphere=1)):
        assert _calls(registry, "v4", subject) <= 1.25 * _calls(registry, "v3", subject)


def _calls(registry: Registry, name: str, subject: CadDocument) -> int:
    """How many Python functions one extraction enters."""
    version, calls = registry.features[name], 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        version.extract(subject)
    finally:
        sys.setprofile(None)
    return calls


def test_10_every_extraction_is_observed(registry: Registry, tmp_path: Path) -> None:
    """The latency histogram of v4 holds at least one sample for each extraction."""

    def observed() -> float:
        value = REGISTRY.get_sample_value("feature_extraction_latency_seconds_count", {"version": "v4"})
        return value or 0.0

    before = observed()
    part = write_facet(tmp_path / "part.stl")
    stl = {"stl": registry.formats["stl"]}
    with ReaderPool(stl, registry.features, limits=ReadLimits(), workers=1) as readers:
        for _ in range(5):
            readers.read(part, ["v4"])
    assert observed() - before >= 5


def write_facet(path: Path) -> Path:
    """Write an STL file of one facet."""
    path.write_text(
        "solid p\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\n"
        "endloop\nendfacet\nendsolid p\n"
    )
    return path


def test_11_upgrade_and_downgrade_change_the_dimension_by_name(registry: Registry) -> None:
    """v1 -> v4 pads new slots with 0, v4 -> v1 cuts; there and back gives the same values."""
    versions = registry.features
    assert [len(versions[name].slots) for name in ("v1", "v2", "v3", "v4")] == [7, 12, 22, 24]
    groups = [slot.group for slot in versions["v4"].slots]
    assert (groups.count("geometric"), groups.count("semantic")) == (22, 2)
    subject = document(plane=6, cylinder=4)
    small, large = (versions[name].extract(subject)[None, :] for name in ("v1", "v4"))
    upgraded = convert_by_name(small, versions["v1"].slots, versions["v4"].slots)
    assert upgraded.shape == (1, 24)
    np.testing.assert_array_equal(upgraded[:, :7], small)
    assert not upgraded[:, 7:].any()
    np.testing.assert_array_equal(convert_by_name(large, versions["v4"].slots, versions["v1"].slots), small)


class FailingAdapter:
    """Refuses every file."""

    name = "failing"
    version = "1"
    suffixes: tuple[str, ...] = (".stl",)
    media_types: tuple[str, ...] = ("model/stl",)

    def sniff(self, head: bytes) -> bool:
        """Claim everything."""
        return True

    def read(self, path: Path, limits: ReadLimits) -> CadDocument:
        """Refuse."""
        raise MalformedFile("cannot read this on purpose", line=3)


def test_12_a_failing_adapter_falls_back_to_an_error_not_to_zeros(registry: Registry, tmp_path: Path) -> None:
    """Where the adapter fails there is a structured error and no vector; the next file is untouched."""
    part = write_facet(tmp_path / "part.stl")
    wanted: dict[str, Any] = {"features": registry.features, "versions": ["v4"], "limits": ReadLimits()}
    with pytest.raises(MalformedFile) as refusal:
        read_file(part, formats={"failing": FailingAdapter()}, **wanted)
    problem = msgspec.to_builtins(refusal.value.problem())
    assert (problem["code"], problem["stage"]) == ("PARSE_FAILED", "parse")
    assert problem["context"]["line"] == 3
    assert len(read_file(part, formats=registry.formats, **wanted).vectors["v4"]) == 24
