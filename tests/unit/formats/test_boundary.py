"""What readers say of exact faces and edges: kinds, sizes, convexity and neighbours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cadml_core import CURVE_KINDS, SURFACE_KINDS, Boundary, MeshRequest, ReadLimits
from cadml_plugins.formats.kernel import _boundary, iges, step
from tests.unit.formats import kernel_parts as parts

MESHED = ReadLimits(mesh=MeshRequest())


def read(shape: parts.Shape, folder: Path) -> Boundary:
    """Write a shape as STEP and read its faces and edges back."""
    found = step.StepAdapter().read(parts.write_step(shape, folder / "part.step"), MESHED).boundary
    assert found is not None
    return found


def test_a_block_has_convex_edges_between_planes(tmp_path: Path) -> None:
    """Six planes, twelve lines, each a right angle outwards between two different faces."""
    found = read(parts.box(), tmp_path)
    assert [SURFACE_KINDS[kind] for kind in found.face_kinds] == ["plane"] * 6
    assert [CURVE_KINDS[kind] for kind in found.edge_kinds] == ["line"] * 12
    assert sorted(found.face_areas.round(6).tolist()) == [200, 200, 300, 300, 600, 600]
    assert sorted(set(found.edge_lengths.round(6).tolist())) == [10, 20, 30]
    np.testing.assert_allclose(found.edge_angles, np.pi / 2)
    assert (found.edge_faces[:, 0] != found.edge_faces[:, 1]).all()
    assert found.vertices == 8


def test_a_hole_is_concave_and_a_pin_is_not(tmp_path: Path) -> None:
    """The wall of a bore is a concave cylinder of its radius; the mantle of a pin a convex one."""
    bored = read(
        parts.cut(parts.box(20, 20, 10), parts.cylinder(3.0, 30.0, x=10.0, y=10.0, z=-5.0)), tmp_path
    )
    wall = bored.face_kinds == SURFACE_KINDS.index("cylinder")
    assert bored.face_concave[wall].all()
    assert bored.face_radii[wall] == pytest.approx(3.0)
    assert sorted(bored.face_wires.tolist())[-2:] == [2, 2]
    pin = read(parts.cylinder(3.0), tmp_path)
    assert not pin.face_concave.any()


def test_an_inner_corner_is_concave(tmp_path: Path) -> None:
    """A step has edges of both signs: one concave edge where the riser meets the tread."""
    found = read(parts.cut(parts.box(20, 20, 20), parts.box(10, 20, 10, at=(10, 0, 10))), tmp_path)
    assert (found.edge_angles < -1.0).sum() == 1


def test_a_repeated_body_counts_each_time(tmp_path: Path) -> None:
    """Columns of two placed copies are those of one, twice, and no edge joins the copies."""
    block = parts.box()
    found = read(parts.compound([block, parts.placed(block, x=50.0)]), tmp_path)
    assert len(found.face_kinds) == 12
    assert len(found.edge_lengths) == 24
    assert ((found.edge_faces < 6).all(axis=1) | (found.edge_faces >= 6).all(axis=1)).all()


def test_iges_has_the_columns_of_step(tmp_path: Path) -> None:
    """Loose faces are sewn first, so edges join the same kinds of faces at the same angles."""
    shape = parts.bracket()
    one = read(shape, tmp_path)
    two = iges.IgesAdapter().read(parts.write_iges(shape, tmp_path / "part.igs"), MESHED).boundary
    assert two is not None
    np.testing.assert_array_equal(np.sort(two.face_kinds), np.sort(one.face_kinds))
    np.testing.assert_allclose(np.sort(two.edge_angles), np.sort(one.edge_angles), atol=1e-6)


def test_columns_come_only_with_a_mesh_and_are_not_stored(tmp_path: Path) -> None:
    """Without a wanted mesh nothing is collected, and the summary never has the columns."""
    path = parts.write_step(parts.box(), tmp_path / "part.step")
    assert step.StepAdapter().read(path, ReadLimits()).boundary is None
    assert step.StepAdapter().read(path, MESHED).without_mesh().boundary is None


def test_a_file_with_too_many_faces_has_no_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is bounded: above the number of faces there are none, and everything else is read all the same."""
    monkeypatch.setattr(_boundary, "MOST_FACES", 5)
    found = step.StepAdapter().read(parts.write_step(parts.box(), tmp_path / "part.step"), MESHED)
    assert found.boundary is None
    assert found.mesh is not None
    assert found.surface_count == 6
