"""One part gives the same measures in whatever format it came."""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cadml_core.contracts.formats import FormatAdapter, ReadLimits
from cadml_core.documents.document import CadDocument
from cadml_plugins.formats.kernel import iges, step
from cadml_plugins.formats.stl import adapter as stl
from tests.unit.formats import kernel_parts as parts

SHAPES: dict[str, Callable[[], Any]] = {
    "block": parts.box,
    "cylinder": parts.cylinder,
    "cone": parts.cone,
    "sphere": parts.sphere,
    "torus": parts.torus,
    "drilled cylinder": parts.drilled_cylinder,
    "bracket": parts.bracket,
    "filleted block": parts.filleted_block,
    "B-spline bracket": lambda: parts.as_nurbs(parts.bracket()),
    "hollow block": lambda: parts.cut(parts.box(20, 20, 20), parts.box(30, 10, 10, at=(-5, 5, 5))),
}
DEFLECTION = 0.01


def read(module: ModuleType, path: Path) -> CadDocument:
    """Read a file with the one adapter of a plugin module."""
    adapter: FormatAdapter
    (adapter,) = module.cadml_format_adapters()
    return adapter.read(path, ReadLimits())


@pytest.mark.parametrize("name", SHAPES)
def test_step_and_iges_describe_the_same_part(name: str, tmp_path: Path) -> None:
    """Faces and edges by kind, solids, extents, area by kind, volume and moments agree to 1e-5."""
    shape = SHAPES[name]()
    first = read(step, parts.write_step(shape, tmp_path / "part.step"))
    for solids in (False, True):
        second = read(iges, parts.write_iges(shape, tmp_path / "part.igs", solids=solids))
        assert second.entity_counts == first.entity_counts
        assert set(second.edge_counts) == set(first.edge_counts)  # writers may cut a curve in pieces
        assert (second.solid_count, second.shell_count) == (first.solid_count, first.shell_count)
        assert second.surface_areas == pytest.approx(first.surface_areas, rel=1e-4)
        agree(first, second, 1e-5)


@pytest.mark.parametrize("name", SHAPES)
def test_facets_agree_with_the_exact_part(name: str, tmp_path: Path) -> None:
    """The tessellated part agrees in extents, area, volume and moments within its deflection."""
    shape = SHAPES[name]()
    exact = read(step, parts.write_step(shape, tmp_path / "part.step"))
    agree(exact, read(stl, parts.write_stl(shape, tmp_path / "part.stl", DEFLECTION)), 2e-3)


def agree(first: CadDocument, second: CadDocument, tolerance: float) -> None:
    """Compare what every 3D format has."""
    assert first.bounding_box is not None
    assert second.bounding_box is not None
    reach = tolerance * max(first.bounding_box.extents)
    assert second.bounding_box.minimum == pytest.approx(first.bounding_box.minimum, abs=reach)
    assert second.bounding_box.maximum == pytest.approx(first.bounding_box.maximum, abs=reach)
    assert second.area == pytest.approx(first.area, rel=tolerance)
    assert first.mass is not None
    assert second.mass is not None
    assert second.mass.volume == pytest.approx(first.mass.volume, rel=tolerance)
    assert second.mass.principal_moments == pytest.approx(first.mass.principal_moments, rel=3 * tolerance)


def corpus_groups() -> list[dict[str, Path]]:
    """Return the real parts that come in more than one 3D format: format -> file."""
    root = Path(os.environ.get("CADML_CORPUS", ""))
    groups: dict[str, dict[str, Path]] = defaultdict(dict)
    if (root / "manifest.csv").is_file():
        with (root / "manifest.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["group"] and row["expect"] == "ok" and row["format"] in ("step", "iges"):
                    groups[row["group"]].setdefault(row["format"], root / row["path"])
    return [group for _, group in sorted(groups.items()) if len(group) > 1]


@pytest.mark.corpus
@pytest.mark.skipif(not corpus_groups(), reason="CADML_CORPUS names no corpus with groups")
def test_real_twins_agree() -> None:
    """Every real part that is there as STEP and as IGES gives the same faces, solids and measures."""
    for group in corpus_groups():
        first, second = read(step, group["step"]), read(iges, group["iges"])
        assert second.entity_counts == first.entity_counts, group
        assert second.solid_count == first.solid_count, group
        agree(first, second, 1e-4)
