"""A volume of an exact model is right, or it is marked, and a warning says why."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cadml_core import CadDocument, MalformedFile, MassProperties, ReadLimits
from cadml_plugins.formats.kernel import (
    _bodies,
    _brep,
    _cross_check,
    _document,
    _doubts,
    _exchange,
    _geometry,
    _integrals,
    _quadrature,
    _recognition,
    _topology,
    iges,
    step,
)
from cadml_plugins.formats.kernel._mass import Mass
from cadml_plugins.formats.kernel._occt import kernel_class, kernel_function
from tests.unit.formats import kernel_parts as parts


def measured(shape: parts.Shape) -> _brep.Census:
    """Measure a shape as it is, without a file."""
    return _brep.measure(shape, ReadLimits(), _recognition.Namer())


def mass_of(census: _brep.Census) -> MassProperties:
    """Return the mass, which there must be."""
    assert census.mass is not None
    return census.mass


def read(shape: parts.Shape, folder: Path, format_name: str) -> CadDocument:
    """Write a shape to a file of a format and read it back."""
    if format_name == "step":
        return step.StepAdapter().read(parts.write_step(shape, folder / "part.step"), ReadLimits())
    return iges.IgesAdapter().read(parts.write_iges(shape, folder / "part.igs"), ReadLimits())


def shell_of(*faces: parts.Shape) -> parts.Shape:
    """Return one shell with all the faces, whether they meet or not."""
    shell, builder = kernel_class("TopoDS_Shell")(), kernel_class("BRep_Builder")()
    builder.MakeShell(shell)
    for face in faces:
        builder.Add(shell, face)
    return shell


def solid_of(*shells: parts.Shape) -> parts.Shape:
    """Return a solid with these shells as they face."""
    solid, builder = kernel_class("TopoDS_Solid")(), kernel_class("BRep_Builder")()
    builder.MakeSolid(solid)
    for shell in shells:
        builder.Add(solid, shell)
    return solid


def only_shell(shape: parts.Shape) -> parts.Shape:
    """Return the one shell of a shape."""
    (shell,) = _topology.distinct(shape, _topology.SHELL)
    return shell


def oriented_faces(shape: parts.Shape) -> list[parts.Shape]:
    """Return the faces as they are used."""
    return _topology.explore(shape, _topology.FACE)


def test_a_sound_part_is_beyond_doubt() -> None:
    """Parts that pass every test are reliable, and nothing is said about them."""
    for part in (parts.bracket(), parts.drilled_cylinder(), parts.filleted_block(), parts.torus()):
        census = measured(part)
        assert mass_of(census).reliable
        assert census.doubts == census.warnings == []


def test_a_volume_larger_than_its_box_is_doubted() -> None:
    """A shell that holds its surface three times counts its volume three times."""
    faces = [face for _ in range(3) for face in oriented_faces(parts.box())]
    census = measured(solid_of(shell_of(*faces)))
    assert not mass_of(census).reliable
    assert any("larger than its box" in doubt for doubt in census.doubts)


def test_a_volume_that_its_surface_cannot_enclose_is_doubted() -> None:
    """Of all bodies with one surface area, the ball is the largest; nothing may be larger."""
    ball = Mass(4 / 3 * math.pi, np.zeros(3), np.eye(3))
    assert not list(_doubts.of_body(ball, 4 * math.pi, None))
    larger = Mass(4 / 3 * math.pi * 1.01, np.zeros(3), np.eye(3))
    assert any("more than its surface" in doubt for doubt in _doubts.of_body(larger, 4 * math.pi, None))
    # A damaged file may have a surface whose powers no number holds.
    assert any("encloses no volume" in doubt for doubt in _doubts.of_body(ball, 1e250, None))
    assert not _quadrature.close(1.0, 1e200, 1e100)
    assert _quadrature.close(1.0, 2.0, 1e250)


def test_shells_that_cancel_are_doubted() -> None:
    """Of two separate shells in one solid, one inside out, the volumes are added and the fault is named."""
    one, other = only_shell(parts.box(10, 10, 10)), only_shell(parts.box(9, 9, 9, at=(50, 0, 0)))
    census = measured(solid_of(one, other.Reversed()))
    assert mass_of(census).volume == pytest.approx(1000 + 729)
    assert not mass_of(census).reliable
    assert any("cancel" in doubt for doubt in census.doubts)


def test_a_solid_that_is_inside_out_is_doubted() -> None:
    """Its volume is counted as positive, and marked."""
    census = measured(parts.box().Reversed())
    assert mass_of(census).volume == pytest.approx(6000)
    assert not mass_of(census).reliable
    assert any("inside out" in doubt for doubt in census.doubts)


def test_a_cavity_that_faces_outwards_is_still_subtracted() -> None:
    """A shell within another is a cavity whichever way it faces; the wrong way is named."""
    outer, inner = only_shell(parts.box(10, 10, 10)), only_shell(parts.box(4, 4, 4, at=(3, 3, 3)))
    right, wrong = measured(solid_of(outer, inner.Reversed())), measured(solid_of(outer, inner))
    assert mass_of(right).volume == mass_of(wrong).volume == pytest.approx(936)
    assert mass_of(right).reliable
    assert not mass_of(wrong).reliable
    assert any("cavity" in doubt for doubt in wrong.doubts)


@pytest.mark.parametrize("format_name", ["step", "iges"])
def test_an_open_shell_beside_a_solid_is_said(format_name: str, tmp_path: Path) -> None:
    """What is not in the volume is counted and measured, and the volume is marked."""
    sheet = parts.compound(parts.faces(parts.box(5, 5, 5, at=(50, 0, 0)))[:5])
    document = read(parts.compound([parts.box(), sheet]), tmp_path, format_name)
    assert document.mass is not None
    assert document.mass.volume == pytest.approx(6000)
    assert not document.mass.reliable
    assert any("1 shells with 125 mm² of surface are open" in warning for warning in document.warnings)


def test_a_solid_with_a_hole_in_its_shell_is_doubted() -> None:
    """A solid that lacks a face has a formal volume only."""
    census = measured(solid_of(shell_of(*oriented_faces(parts.box())[:5])))
    assert not mass_of(census).reliable
    assert any("shells of a solid are open" in doubt for doubt in census.doubts)


def test_overlapping_bodies_are_doubted() -> None:
    """Volumes that add up to more than the box of all cannot all be there."""
    bodies = [parts.box(), parts.box(10, 20, 29), parts.box(10, 19, 30)]
    census = measured(parts.compound(bodies))
    assert not mass_of(census).reliable
    assert any("overlap" in doubt for doubt in census.doubts)


@pytest.mark.parametrize("part", [parts.box(), parts.drilled_cylinder(), parts.torus()])
def test_an_invalid_solid_is_checked_and_not_just_distrusted(
    part: parts.Shape, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A solid that the kernel calls invalid stays reliable where its facets have the same volume."""
    monkeypatch.setattr(_topology, "is_valid", lambda shape: False)
    census = measured(part)
    assert any("not valid" in warning for warning in census.warnings)
    assert mass_of(census).reliable


def test_a_solid_with_a_twisted_face_is_not_reliable() -> None:
    """A face that lies beside its edges makes a solid whose volume nobody knows."""
    faces = oriented_faces(parts.box())
    moved = [*faces[:5], parts.placed(faces[5], z=-12.0)]
    census = measured(solid_of(shell_of(*moved)))
    assert not mass_of(census).reliable


def test_an_invalid_solid_whose_facets_disagree_is_doubted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason gives both volumes."""
    estimate = _cross_check.Estimate(5000.0, 10.0)
    monkeypatch.setattr(_topology, "is_valid", lambda shape: False)
    monkeypatch.setattr(_cross_check, "volume_of_facets", lambda shape, budget: estimate)
    census = measured(parts.box())
    assert not mass_of(census).reliable
    assert any("6000 mm³, is not that of its facets, 5000" in doubt for doubt in census.doubts)


@pytest.mark.parametrize("part", [parts.box(), parts.drilled_cylinder(), parts.torus(), parts.sphere()])
def test_the_check_by_facets_bounds_its_error(part: parts.Shape) -> None:
    """The exact volume lies within the error that the facets claim, and one that is 5 % off does not."""
    estimate = _cross_check.volume_of_facets(part, _cross_check.Budget())
    volume = mass_of(measured(part)).volume
    assert isinstance(estimate, _cross_check.Estimate)
    assert estimate.agrees(volume)
    assert not estimate.agrees(volume * 1.05)


def test_a_solid_that_meets_itself_is_larger_than_its_hull(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cones in one place hold less than their box and agree with their facets, but exceed their hull."""
    monkeypatch.setattr(_topology, "is_valid", lambda shape: False)
    cones = [face for x in (0.0, 0.1) for face in oriented_faces(parts.placed(parts.cone(), x))]
    once = measured(parts.cone())
    twice = measured(solid_of(shell_of(*cones)))
    assert mass_of(once).reliable
    assert not mass_of(twice).reliable
    assert twice.box is not None
    assert mass_of(twice).volume < math.prod(twice.box.extents)
    assert any("larger than its convex hull" in doubt for doubt in twice.doubts)


@pytest.mark.parametrize("seconds", [0.0, 1e-9])
def test_a_check_that_takes_too_long_is_not_made(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """An invalid solid that there is no time to check is doubted, and the reason is said."""
    monkeypatch.setattr(_topology, "is_valid", lambda shape: False)
    monkeypatch.setattr(_cross_check.Budget, "__init__", lambda self: setattr(self, "left", seconds))
    census = measured(parts.torus())
    assert not mass_of(census).reliable
    assert any("was not checked: its facets take too long" in doubt for doubt in census.doubts)


@pytest.mark.parametrize("bound", [math.nan, math.inf, 1e30])
def test_faces_of_no_sensible_size_get_no_facets(bound: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel may never end on the faces of a damaged file."""
    monkeypatch.setattr(_geometry, "quick_bounds", lambda shape: (0.0, 0.0, 0.0, 1.0, 1.0, bound))
    monkeypatch.delattr(_cross_check, "_Mesher")
    answer = _cross_check.volume_of_facets(parts.box(), _cross_check.Budget())
    assert answer == "its faces have no sensible size"


def test_a_root_keeps_its_place(tmp_path: Path) -> None:
    """The place of the only part counts once: in the box and in the centroid."""
    shape = parts.placed(parts.bracket(), 100, 50, 20, 0.5)
    census = measured(shape)
    at_origin = mass_of(measured(parts.bracket()))
    assert census.box is not None
    centroid = mass_of(census).centroid
    assert all(
        low <= value <= high
        for low, value, high in zip(census.box.minimum, centroid, census.box.maximum, strict=True)
    )
    x, y, z = at_origin.centroid
    turned = (
        x * math.cos(0.5) - y * math.sin(0.5) + 100,
        x * math.sin(0.5) + y * math.cos(0.5) + 50,
        z + 20,
    )
    assert centroid == pytest.approx(turned)


def test_an_open_tessellated_model_is_doubted(tmp_path: Path) -> None:
    """Facets in a STEP file are judged as those of an STL file are: an open mesh has a formal volume."""
    sheet = parts.faceted(parts.compound(parts.faces(parts.box())[:5]), tmp_path)
    path = parts.write_step(sheet, tmp_path / "part.step", schema="AP242DIS")
    document = step.StepAdapter().read(path, ReadLimits())
    assert document.facet_count == 10
    assert document.mass is None or not document.mass.reliable
    assert any("not closed" in warning for warning in document.warnings)


@pytest.mark.parametrize("format_name", ["step", "iges"])
def test_loose_faces_become_the_solid_that_they_bound(format_name: str, tmp_path: Path) -> None:
    """Faces without a shell are sewn in every format, with the counts of the solid."""
    document = read(parts.compound(parts.faces(parts.bracket())), tmp_path, format_name)
    solid = mass_of(measured(parts.bracket()))
    assert (document.solid_count, document.shell_count) == (1, 1)
    assert document.mass is not None
    assert document.mass.volume == pytest.approx(solid.volume)
    assert document.mass.reliable


@pytest.mark.parametrize("format_name", ["step", "iges"])
@pytest.mark.parametrize("kept_together", [True, False])
def test_bodies_that_touch_stay_two(format_name: str, kept_together: bool, tmp_path: Path) -> None:
    """Two blocks with a common face are two solids, whether the file keeps their faces apart or not."""
    bodies = [parts.faces(parts.box(10, 10, 10)), parts.faces(parts.box(10, 10, 10, at=(10, 0, 0)))]
    shape = parts.compound(
        [parts.compound(faces) for faces in bodies] if kept_together else [*bodies[0], *bodies[1]]
    )
    document = read(shape, tmp_path, format_name)
    assert document.solid_count == 2
    assert document.mass is not None
    assert document.mass.volume == pytest.approx(2000)
    assert document.mass.reliable


@pytest.mark.parametrize("format_name", ["step", "iges"])
def test_a_hollow_of_loose_faces_is_subtracted_and_doubted(format_name: str, tmp_path: Path) -> None:
    """Loose faces do not say whether they bound a cavity or a core: it is subtracted, and said."""
    hollow = parts.cut(parts.box(10, 10, 10), parts.box(4, 4, 4, at=(3, 3, 3)))
    document = read(parts.compound(parts.faces(hollow)), tmp_path, format_name)
    assert (document.solid_count, document.shell_count) == (1, 2)
    assert document.mass is not None
    assert document.mass.volume == pytest.approx(936)
    assert not document.mass.reliable
    assert any("cavities" in warning for warning in document.warnings)


def test_a_body_within_a_cavity_is_a_body(tmp_path: Path) -> None:
    """Three shells, one in the other: a hollow block with a ball in it, two solids."""
    hollow = parts.cut(parts.box(20, 20, 20), parts.box(10, 10, 10, at=(5, 5, 5)))
    shape = parts.compound([*parts.faces(hollow), *parts.faces(parts.sphere(3, at=(10, 10, 10)))])
    document = read(shape, tmp_path, "iges")
    assert document.solid_count == 2
    assert document.mass is not None
    assert document.mass.volume == pytest.approx(8000 - 1000 + 36 * math.pi, rel=1e-6)


def test_edges_without_finite_points_tell_no_bodies_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Edges of damaged files may lie nowhere: their faces are then alone."""
    faces = parts.faces(parts.box())
    nowhere = ((math.inf, 0.0, 0.0), (0.0, math.nan, 0.0), (1e308, 0.0, 0.0))
    monkeypatch.setattr(_bodies._geometry, "edge_points", lambda edge: nowhere)  # type: ignore[attr-defined]
    assert len(_bodies.split(faces, 1e-6)) == len(faces)


def test_bodies_are_told_apart_at_their_edges() -> None:
    """Faces that share an edge belong together; those of another body at the same edge do not."""
    bodies = [parts.faces(parts.box(10, 10, 10)), parts.faces(parts.box(10, 10, 10, at=(10, 10, 0)))]
    found = _bodies.split([*bodies[0], *bodies[1]], 1e-6)
    assert sorted(map(len, found)) == [6, 6]


@pytest.mark.parametrize(
    ("text", "name"), [("__CONSTANT UNIT inch", "inch"), ("MILLIMETRE", "mm"), ("1", None)]
)
def test_units_have_clean_names(text: str, name: str | None) -> None:
    """Whatever words a program puts around it, the unit has its own name, or none."""
    unit, warnings = step._unit((text,))
    assert unit == name
    assert any("no known one" in warning for warning in warnings) == (name is None)


def test_roots_that_cannot_be_built_are_named() -> None:
    """A file whose only root cannot be built is refused with its name, not called empty."""
    transfer = _exchange.Transfer(shape=None, missing=("Flange (root 1)",), faults=("record 7: no reason",))
    with pytest.raises(MalformedFile, match=r"Flange \(root 1\) could not be built: record 7"):
        _document.transferred_shape(transfer, 0, [])


def test_roots_that_are_missing_beside_others_are_named() -> None:
    """Where some of a file was built, a warning names what was not."""
    warnings: list[str] = []
    transfer = _exchange.Transfer(shape=parts.box(), missing=("Flange (root 2)",), faults=())
    assert _document.transferred_shape(transfer, 6, warnings) is not None
    assert warnings == ["Flange (root 2) could not be built, and is missing"]


def test_the_names_of_many_roots_are_cut() -> None:
    """Five names are given, and how many more there are."""
    assert _document._names([f"part {number}" for number in range(7)]).endswith("part 4 and 2 more")


def helical_strip(turns: int, pitch: float = 2.0, radius: float = 4.0, height: float = 1.0) -> Any:
    """Return a face of a cylinder that winds around it, as the crest of a thread does."""
    surface = kernel_class("Geom_CylindricalSurface")(kernel_class("gp_Ax3")(), radius)
    corner = kernel_class("gp_Pnt2d")
    end = (2 * math.pi * turns, pitch * turns)
    corners = [corner(0, 0), corner(*end), corner(end[0], end[1] + height), corner(0, height)]
    wire = kernel_class("BRepBuilderAPI_MakeWire")()
    for start, stop in zip(corners, [*corners[1:], corners[0]], strict=True):
        along = kernel_class("gp_Dir2d")(stop.X() - start.X(), stop.Y() - start.Y())
        line = kernel_class("Geom2d_Line")(start, along)
        edge = kernel_class("BRepBuilderAPI_MakeEdge")(line, surface, 0, start.Distance(stop)).Edge()
        kernel_function("BRepLib", "BuildCurves3d")(edge)
        wire.Add(edge)
    return kernel_class("BRepBuilderAPI_MakeFace")(surface, wire.Wire(), True).Face()


@pytest.mark.parametrize("turns", [1, 10, 40, 100])
def test_a_face_that_winds_is_integrated_exactly(turns: int) -> None:
    """The area of a strip around a cylinder is known; the kernel's own volume is 7 % off at 40 turns."""
    face = helical_strip(turns)
    integrals = _integrals.FaceIntegrals((0.0, 0.0, 0.0), _quadrature.Budget())
    area = integrals.add(face, "cylinder")
    assert area == pytest.approx(2 * math.pi * 4.0 * turns, rel=1e-6)
    volume, _, _ = integrals.volume()
    # About the axis, the cone to every piece of the strip has the radius as its height.
    assert volume == pytest.approx(area * 4.0 / 3.0, rel=1e-6)
    assert integrals.inexact == 0


def test_a_face_beyond_the_budget_is_doubted() -> None:
    """Where the exact integrals would take too long, the kernel's are kept, and the volume is marked."""
    integrals = _integrals.FaceIntegrals((0.0, 0.0, 0.0), _quadrature.Budget(points=100))
    integrals.add(helical_strip(40), "cylinder")
    assert integrals.inexact == 1


def test_free_form_faces_beyond_the_time_are_doubted() -> None:
    """After the kernel's time, the rest is integrated by fixed order, and that is said."""
    shape = parts.as_nurbs(parts.sphere())
    (face, *_) = _topology.distinct(shape, _topology.FACE)
    areas = []
    for seconds, inexact in ((_quadrature.MOST_SECONDS, 0), (0.0, 1)):
        integrals = _integrals.FaceIntegrals((0.0, 0.0, 0.0), _quadrature.Budget(seconds=seconds))
        areas.append(integrals.add(face, _geometry.surface_kind(face)))
        assert integrals.inexact == inexact
    assert areas[0] == pytest.approx(areas[1], rel=1e-2)


@pytest.mark.parametrize("bound", [math.nan, math.inf])
def test_a_face_without_bounds_is_doubted(bound: float) -> None:
    """A damaged face whose parameters are no numbers is neither integrated nor believed."""
    geometry = SimpleNamespace(Bounds=lambda: (0.0, bound, 0.0, 1.0))
    face = helical_strip(1)
    assert _quadrature.winds(face, geometry, "cylinder")
    found = _quadrature.integrate(face, geometry, None, "cylinder", (0.0, 0.0, 0.0), _quadrature.Budget())
    assert found is None


@pytest.mark.parametrize(
    "part",
    [
        *(parts.bracket(), parts.cone(), parts.torus(), parts.sphere(), parts.filleted_block()),
        # The edges of its flat faces are arcs: a part of their curve.
        parts.cut(parts.cylinder(10, 8), parts.box(30, 30, 30, at=(3, -2, -5))),
    ],
)
def test_both_quadratures_agree(part: parts.Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    """Areas, volumes and moments are the same whichever code integrates the faces."""
    kernel = measured(part)
    monkeypatch.setattr(_quadrature, "winds", lambda *_: True)
    own = measured(part)
    assert not own.doubts
    assert own.area == pytest.approx(kernel.area, rel=1e-6)
    assert mass_of(own).volume == pytest.approx(mass_of(kernel).volume, rel=1e-6)
    assert mass_of(own).principal_moments == pytest.approx(mass_of(kernel).principal_moments, rel=1e-5)
    assert mass_of(own).centroid == pytest.approx(mass_of(kernel).centroid, abs=1e-4)


def test_splines_can_be_integrated_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part written as splines has the area, volume and moments of the part itself, to 1e-6."""
    part = parts.cut(parts.cylinder(10, 8), parts.box(30, 30, 30, at=(3, -2, -5)))
    exact = measured(part)
    monkeypatch.setattr(_quadrature, "winds", lambda *_: True)
    splines = measured(parts.as_nurbs(part))
    assert splines.area == pytest.approx(exact.area, rel=1e-6)
    assert mass_of(splines).volume == pytest.approx(mass_of(exact).volume, rel=1e-6)
    assert mass_of(splines).principal_moments == pytest.approx(mass_of(exact).principal_moments, rel=1e-6)


def test_the_same_part_as_splines_has_the_same_moments() -> None:
    """Moments of free-form faces are right to 1e-4, so that they can be compared between formats."""
    for part in (parts.drilled_cylinder(), parts.filleted_block()):
        exact, splines = mass_of(measured(part)), mass_of(measured(parts.as_nurbs(part)))
        assert splines.volume == pytest.approx(exact.volume, rel=1e-6)
        assert splines.principal_moments == pytest.approx(exact.principal_moments, rel=1e-4)
