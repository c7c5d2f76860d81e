"""Invariants and feature lists: what a motion, a mirror and a scale do to them, in every format."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cadml_core import CadDocument, ReadLimits
from cadml_core.documents.feature_list import decode_features, encode_features
from cadml_plugins.formats.kernel._occt import kernel_class
from cadml_plugins.formats.kernel.iges import IgesAdapter
from cadml_plugins.formats.kernel.step import StepAdapter
from cadml_plugins.formats.stl.adapter import StlAdapter
from tests.unit.formats import kernel_parts as parts


def chiral_block() -> Any:
    """A block with three blind holes of different size off its planes of symmetry."""
    holes = [parts.cylinder(r, 30, x=x, y=y, z=4) for r, x, y in ((1.5, 6, 5), (2.5, 22, 6), (1.0, 12, 15))]
    return parts.cut(parts.box(30, 20, 10), *holes)


def transformed(shape: Any, *, mirror: bool = False, scale: float = 1.0, shift: float = 0.0) -> Any:
    """A copy that is turned by a general rotation, moved, and mirrored or scaled."""
    turn, move = kernel_class("gp_Trsf")(), kernel_class("gp_Trsf")()
    turn.SetRotation(
        kernel_class("gp_Ax1")(parts.point(1, 2, 3), kernel_class("gp_Dir")(0.3, -0.5, 0.8)), 1.234
    )
    move.SetTranslation(kernel_class("gp_Vec")(shift + 11, -7, shift + 5))
    total = move.Multiplied(turn)
    if mirror:
        image = kernel_class("gp_Trsf")()
        image.SetMirror(kernel_class("gp_Ax2")(parts.point(0, 0, 0), kernel_class("gp_Dir")(0, 1, 0)))
        total.Multiply(image)
    if scale != 1.0:
        larger = kernel_class("gp_Trsf")()
        larger.SetScale(parts.point(0, 0, 0), scale)
        total.Multiply(larger)
    return kernel_class("BRepBuilderAPI_Transform")(shape, total, True).Shape()


def read_step(shape: Any, folder: Path, name: str = "part") -> CadDocument:
    """Write a STEP file and read it."""
    return StepAdapter().read(parts.write_step(shape, folder / f"{name}.step"), ReadLimits())


def whole(document: CadDocument) -> Any:
    """The invariants of a whole file."""
    assert document.invariants is not None
    return document.invariants.whole


def test_a_cuboid_has_the_invariants_of_the_formula(tmp_path: Path) -> None:
    """Volume, area, covariance s²/12 and counts of a cuboid are exact; it has no handedness."""
    document = read_step(parts.box(10, 20, 30), tmp_path)
    found = whole(document)
    assert found.volume == pytest.approx(6000, rel=1e-12)
    assert found.area == pytest.approx(2200, rel=1e-12)
    assert found.moments == pytest.approx((100 / 12, 400 / 12, 900 / 12), rel=1e-10)
    assert (found.faces, found.edges, found.vertices, found.count) == (6, 12, 8, 1)
    assert found.chirality == pytest.approx((0, 0, 0, 0), abs=1e-12)
    assert document.features is not None
    assert len(document.features) == 26


@pytest.mark.parametrize("make", [parts.drilled_cylinder, parts.filleted_block, parts.torus, parts.cone])
def test_nodes_on_curved_faces_enclose_the_volume(make: Any, tmp_path: Path) -> None:
    """The quadrature behind the handedness gives the volume of elementary solids to 1e-8."""
    assert whole(read_step(make(), tmp_path)).chirality_error < 1e-8


def test_no_motion_changes_the_invariants(tmp_path: Path) -> None:
    """A turned and moved copy has the same numbers to 1e-9, handedness included."""
    first, second = (whole(read_step(s, tmp_path)) for s in (chiral_block(), transformed(chiral_block())))
    for name in ("volume", "area", "moments", "faces", "edges", "vertices"):
        assert getattr(second, name) == pytest.approx(getattr(first, name), rel=1e-9)
    assert max(map(abs, first.chirality)) > 1e-6
    assert second.chirality == pytest.approx(first.chirality, abs=1e-10)


def test_a_mirror_image_has_the_opposite_handedness(tmp_path: Path) -> None:
    """Every number of it changes sign, and nothing else changes."""
    first = whole(read_step(chiral_block(), tmp_path))
    second = whole(read_step(transformed(chiral_block(), mirror=True), tmp_path))
    assert second.chirality == pytest.approx(tuple(-number for number in first.chirality), abs=1e-10)
    assert second.moments == pytest.approx(first.moments, rel=1e-9)


def test_far_from_the_origin_nothing_is_lost(tmp_path: Path) -> None:
    """A part 1e7 mm away keeps its invariants and features to what the file's digits allow."""
    near, far = (read_step(transformed(chiral_block(), shift=s), tmp_path) for s in (0.0, 1e7))
    assert whole(far).moments == pytest.approx(whole(near).moments, rel=1e-6)
    assert near.features is not None
    assert far.features is not None
    first, second = (np.sort(np.linalg.norm(d.points, axis=1)) for d in (near.features, far.features))
    assert np.abs(first - second).max() < 1e-5


def test_facets_have_the_invariants_of_the_solid(tmp_path: Path) -> None:
    """A fine STL agrees with the STEP to the error of its facets, and has the same handedness."""
    exact = whole(read_step(chiral_block(), tmp_path))
    facets = StlAdapter().read(parts.write_stl(chiral_block(), tmp_path / "part.stl", 1e-3), ReadLimits())
    assert facets.features is None
    assert facets.invariants is not None
    assert not facets.invariants.exact
    assert whole(facets).volume == pytest.approx(exact.volume, rel=1e-3)
    assert whole(facets).moments == pytest.approx(exact.moments, rel=1e-3)
    assert whole(facets).chirality == pytest.approx(exact.chirality, abs=0.1 * max(map(abs, exact.chirality)))


def test_a_sewn_iges_part_has_the_features_of_the_step(tmp_path: Path) -> None:
    """Surfaces that IGES writes as others have the sizes and places of the exact ones."""
    exact = read_step(parts.drilled_cylinder(), tmp_path)
    sewn = IgesAdapter().read(parts.write_iges(parts.drilled_cylinder(), tmp_path / "part.igs"), ReadLimits())
    assert whole(sewn).volume == pytest.approx(whole(exact).volume, rel=1e-5)
    assert whole(sewn).chirality_error < 1e-2
    assert exact.features is not None
    assert sewn.features is not None
    assert sorted(sewn.features.sizes) == pytest.approx(sorted(exact.features.sizes), rel=1e-5)


def test_each_body_of_an_assembly_has_a_row(tmp_path: Path) -> None:
    """Two placed copies and another body are two rows, and the features know their body."""
    cube, block = parts.box(10, 10, 10), chiral_block()
    assembly = parts.compound([cube, parts.placed(cube, x=50, turn=0.5), parts.placed(block, y=80)])
    document = read_step(assembly, tmp_path)
    assert document.invariants is not None
    assert [(row.count, round(row.volume, -3)) for row in document.invariants.bodies] == [
        (2, 1000),
        (1, 6000),
    ]
    assert whole(document).count == 3
    features = document.features
    assert features is not None
    assert sorted(set(features.bodies.tolist())) == [0, 1, 2]
    assert len(features.of_body(0)) == 26
    assert np.abs(features.of_body(0).points).max() == pytest.approx(5.0)


def test_holes_are_hollow_and_bosses_are_not(tmp_path: Path) -> None:
    """The sign of a radius says on which side the material is."""
    features = read_step(parts.drilled_cylinder(), tmp_path).features
    assert features is not None
    radii = sorted(radius for kind, radius in zip(features.kinds, features.radii, strict=True) if kind == 2)
    assert radii == pytest.approx([-3, -1.5, -1.5, -1.5, -1.5, 10])


def test_open_shells_and_wires_have_no_invariants(tmp_path: Path) -> None:
    """What encloses nothing has no volume to compare."""
    sheet = parts.extruded(parts.segment((0, 0, 0), (10, 0, 0)))
    for shape in (sheet, parts.ellipse()):
        document = read_step(shape, tmp_path)
        assert document.invariants is None
        assert document.features is None


def test_packing_keeps_a_feature_list(tmp_path: Path) -> None:
    """A list comes back with its kinds as they were and places to 1e-6 of the size, in few bytes."""
    features = read_step(chiral_block(), tmp_path).features
    assert features is not None
    packed = encode_features(features)
    assert len(packed) < 20 * len(features)
    back = decode_features(packed)
    assert back.kinds.tolist() == features.kinds.tolist()
    assert back.bodies.tolist() == features.bodies.tolist()
    for name in ("points", "sizes", "radii", "spreads", "centres"):
        assert getattr(back, name) == pytest.approx(
            getattr(features, name), abs=1e-6 * math.hypot(30, 20, 10)
        )
    assert back.tensors == pytest.approx(features.tensors, abs=1e-7)


def test_a_stated_unit_scales_everything(tmp_path: Path) -> None:
    """A document in another unit has the invariants and features of the larger part."""
    document, larger = (
        read_step(chiral_block(), tmp_path),
        read_step(transformed(chiral_block(), scale=2), tmp_path),
    )
    scaled = document.scaled(2.0)
    assert whole(scaled).moments == pytest.approx(whole(larger).moments, rel=1e-9)
    assert whole(scaled).volume == pytest.approx(whole(larger).volume, rel=1e-9)
    assert scaled.features is not None
    assert larger.features is not None
    assert sorted(scaled.features.sizes) == pytest.approx(sorted(larger.features.sizes), rel=1e-9)
