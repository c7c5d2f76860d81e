"""Meshes are verified both ways: copies within their chord error are the same, edits are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cadml_core.relations.meshes import compare_meshes
from cadml_core.relations.surfaces import Surface
from tests.unit.formats import kernel_parts as parts
from tests.unit.relations import solids

FINE, COARSE = 1e-3, 5e-3


def block(*more: Any) -> Any:
    """A chiral block with blind holes, and more tools."""
    holes = [parts.cylinder(2, 40, x=8, y=6, z=4), parts.cylinder(3, 40, x=20, y=12, z=6)]
    return parts.cut(parts.box(30, 20, 10), *holes, *more)


def exact(shape: Any) -> Surface:
    """A mesh that stands for exact surfaces."""
    mesh = solids.mesh_of(shape, 3e-5)
    return Surface(mesh, 3e-5 * float(np.linalg.norm(np.ptp(mesh.vertices, axis=0))))


def facets(shape: Any, deflection: float = FINE) -> Surface:
    """A file's own mesh of a shape that was turned."""
    return Surface(solids.mesh_of(solids.turned(shape, (1, 2, 3), 1.0, (50, 60, 70)), deflection))


@pytest.mark.parametrize("make", [block, parts.drilled_cylinder, parts.bracket, parts.cone])
@pytest.mark.parametrize("deflection", [FINE, COARSE])
def test_facets_of_a_part_are_the_same(make: Any, deflection: float) -> None:
    """Turned facets are aligned and accepted in either order, with a motion that takes one to the other."""
    a, b = exact(make()), facets(make(), deflection)
    for one, other in ((a, b), (b, a)):
        found = compare_meshes(one, other)
        assert (found.same, found.mirrored) == (True, False)
        assert found.deviation <= found.tolerance
        moved = found.motion[:3, :3] @ one.moments[1] + found.motion[:3, 3]
        assert moved == pytest.approx(other.moments[1], abs=0.02 * one.length)


def test_facets_of_a_mirror_image_are_its_mirror_image() -> None:
    """The hand of a chiral part is told, and never mistaken."""
    found = compare_meshes(exact(block()), facets(solids.mirrored(block())))
    assert (found.same, found.mirrored) == (True, True)


@pytest.mark.parametrize(
    "edit",
    [
        lambda: block(parts.cylinder(1, 60, x=25, y=4, z=-20)),
        lambda: block(parts.cylinder(3.1, 40, x=20, y=12, z=6)),
        lambda: block(parts.cylinder(2, 40, x=8, y=6, z=3.8)),
        lambda: parts.fuse(block(), parts.box(30, 20, 0.5, at=(0, 0, -0.25))),
    ],
)
@pytest.mark.parametrize("deflection", [FINE, COARSE])
def test_an_edit_is_not_accepted(edit: Any, deflection: float) -> None:
    """A hole more, a wider one, a deeper one, a thicker plate: on either side, fine or coarse."""
    assert not compare_meshes(exact(block()), facets(edit(), deflection)).same
    assert not compare_meshes(facets(block(), deflection), exact(edit())).same


@pytest.mark.parametrize("deflection", [FINE, COARSE])
def test_a_chamfer_is_no_sharp_edge(deflection: float) -> None:
    """All corners of a chamfer lie on the faces that would meet in a sharp edge; its facets do not."""
    sharp = parts.cylinder(10, 20)
    chamfered = parts.fuse(parts.cylinder(10, 18), placed_cone())
    assert not compare_meshes(exact(sharp), facets(chamfered, deflection)).same
    assert not compare_meshes(exact(chamfered), facets(sharp, deflection)).same


def placed_cone() -> Any:
    """The chamfered end of a cylinder of radius 10."""
    return solids.turned(parts.cone(10, 8, 2), (0, 0, 1), 0.0, (0, 0, 18))


def test_two_files_of_one_mesh_are_the_same() -> None:
    """The same facets elsewhere agree exactly; facets made anew agree within their sag."""
    assert compare_meshes(facets(parts.bracket()), Surface(solids.mesh_of(parts.bracket(), FINE))).same
    cube = parts.box(10, 10, 10)
    assert compare_meshes(Surface(solids.mesh_of(cube, FINE)), facets(cube)).same


def test_tied_moments_are_aligned_about_the_axis() -> None:
    """A flange with five holes in a circle is found at any angle, and one with a turned circle is not."""
    flange = solids.two_circles(0.1)
    assert compare_meshes(exact(flange), facets(flange)).same
    assert not compare_meshes(exact(flange), facets(solids.two_circles(0.15))).same
