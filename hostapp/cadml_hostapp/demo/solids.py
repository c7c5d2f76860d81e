"""Simple machine parts as Open CASCADE solids, and writing them as STEP, IGES or STL."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from stl import Mode
from stl.mesh import Mesh

from cadml_plugins.formats.kernel._occt import kernel_class, kernel_function
from cadml_plugins.formats.kernel._tessellation import triangles
from cadml_plugins.formats.kernel._topology import FACE, compound, explore

Solid = Any
"""A TopoDS_Shape."""

_point = kernel_class("gp_Pnt")
_direction = kernel_class("gp_Dir")
_axes = kernel_class("gp_Ax2")
_line = kernel_class("gp_Ax1")
_vector = kernel_class("gp_Vec")
_movement = kernel_class("gp_Trsf")
_make_box = kernel_class("BRepPrimAPI_MakeBox")
_make_cylinder = kernel_class("BRepPrimAPI_MakeCylinder")
_make_cone = kernel_class("BRepPrimAPI_MakeCone")
_make_ball = kernel_class("BRepPrimAPI_MakeSphere")
_fuse = kernel_class("BRepAlgoAPI_Fuse")
_cut = kernel_class("BRepAlgoAPI_Cut")
_transform = kernel_class("BRepBuilderAPI_Transform")
_StepWriter = kernel_class("STEPControl_Writer")
_AS_IS = kernel_class("STEPControl_AsIs")
_IgesWriter = kernel_class("IGESControl_Writer")
_mesher = kernel_class("BRepMesh_IncrementalMesh")


def box(size: tuple[float, float, float], at: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Solid:
    """A cuboid with its lowest corner at ``at``."""
    return _make_box(_point(*at), *size).Shape()


def cylinder(
    radius: float,
    height: float,
    at: tuple[float, float, float],
    along: tuple[float, float, float] = (0, 0, 1),
) -> Solid:
    """A cylinder that starts at ``at``."""
    return _make_cylinder(_axes(_point(*at), _direction(*along)), radius, height).Shape()


def plate(width: float, depth: float, thickness: float, holes: tuple[int, int], diameter: float) -> Solid:
    """A plate with a grid of through holes."""
    result = box((width, depth, thickness))
    columns, rows = holes
    for column in range(columns):
        for row in range(rows):
            centre = ((column + 0.5) * width / columns, (row + 0.5) * depth / rows, -1.0)
            result = _cut(result, cylinder(diameter / 2, thickness + 2, centre)).Shape()
    return result


def bracket(length: float, height: float, width: float, thickness: float) -> Solid:
    """An angle bracket; its two holes are off the middle, so it differs from its mirror image."""
    legs = _fuse(box((length, width, thickness)), box((thickness, width, height))).Shape()
    low = cylinder(width / 8, thickness + 2, (length * 0.75, width * 0.3, -1.0))
    high = cylinder(width / 10, thickness + 2, (-1.0, width * 0.7, height * 0.8), (1, 0, 0))
    return _cut(_cut(legs, low).Shape(), high).Shape()


def flange(radius: float, bore: float, thickness: float, bolts: int) -> Solid:
    """A disc with a bore and a circle of bolt holes."""
    result = _cut(cylinder(radius, thickness, (0, 0, 0)), cylinder(bore, thickness + 2, (0, 0, -1))).Shape()
    pitch = (radius + bore) / 2
    for bolt in range(bolts):
        angle = 2 * math.pi * bolt / bolts
        hole = cylinder(
            (radius - bore) / 6, thickness + 2, (pitch * math.cos(angle), pitch * math.sin(angle), -1)
        )
        result = _cut(result, hole).Shape()
    return result


def shaft(radii: tuple[float, ...], length: float) -> Solid:
    """A stepped shaft, all steps of one length."""
    result = cylinder(radii[0], length, (0, 0, 0))
    for step, radius in enumerate(radii[1:], start=1):
        result = _fuse(result, cylinder(radius, length, (0, 0, step * length))).Shape()
    return result


def tube(radius: float, bore: float, length: float) -> Solid:
    """A tube; a short one is a washer."""
    return _cut(cylinder(radius, length, (0, 0, 0)), cylinder(bore, length + 2, (0, 0, -1))).Shape()


def channel(length: float, width: float, height: float, wall: float) -> Solid:
    """A U profile."""
    inside = box((length + 2, width - 2 * wall, height), (-1.0, wall, wall))
    return _cut(box((length, width, height)), inside).Shape()


def nozzle(base: float, tip: float, height: float, bore: float) -> Solid:
    """A truncated cone with a bore along its axis."""
    outside = _make_cone(base, tip, height).Shape()
    return _cut(outside, cylinder(bore, height + 2, (0, 0, -1))).Shape()


def pocketed(width: float, depth: float, height: float, wall: float) -> Solid:
    """A block with an open pocket and a bore through one wall."""
    inside = box((width - 2 * wall, depth - 2 * wall, height), (wall, wall, wall))
    bore = cylinder(wall / 2, wall + 2, (-1.0, depth / 2, height / 2), (1, 0, 0))
    return _cut(_cut(box((width, depth, height)), inside).Shape(), bore).Shape()


def clocked(radius: float, thickness: float, turn: float) -> Solid:
    """A disc with a fixed circle of six holes and one of five that is turned by an angle in degrees.

    Volume, area and moments are the same at every angle.
    """
    result = cylinder(radius, thickness, (0, 0, 0))
    for count, pitch, start in ((6, 0.75 * radius, 0.0), (5, 0.4 * radius, math.radians(turn))):
        for hole in range(count):
            angle = start + 2 * math.pi * hole / count
            centre = (pitch * math.cos(angle), pitch * math.sin(angle), -1.0)
            result = _cut(result, cylinder(radius / 20, thickness + 2, centre)).Shape()
    return result


def ball(radius: float) -> Solid:
    """A ball about the origin."""
    return _make_ball(radius).Shape()


def bearing(radius: float, balls: int) -> Solid:
    """Two rings and the balls between them: an assembly."""
    half = radius / 6
    parts = [tube(radius, 0.86 * radius, 2 * half), tube(0.5 * radius, 0.36 * radius, 2 * half)]
    for number in range(balls):
        angle = 2 * math.pi * number / balls
        place = (0.68 * radius * math.cos(angle), 0.68 * radius * math.sin(angle), half)
        parts.append(moved(ball(half), place))
    return compound(parts)


def together(*parts: Solid) -> Solid:
    """Several bodies in one file: an assembly."""
    return compound(parts)


def drilled(solid: Solid, diameter: float, at: tuple[float, float]) -> Solid:
    """The same solid with a hole along z, from below 0 to far above it."""
    return _cut(solid, cylinder(diameter / 2, 1_000.0, (*at, -1.0))).Shape()


def moved(solid: Solid, by: tuple[float, float, float]) -> Solid:
    """The same solid elsewhere."""
    movement = _movement()
    movement.SetTranslation(_vector(*by))
    return _transform(solid, movement, True).Shape()


def turned(solid: Solid, along: tuple[float, float, float], degrees: float) -> Solid:
    """The same solid, turned about a line through the origin."""
    movement = _movement()
    movement.SetRotation(_line(_point(0, 0, 0), _direction(*along)), math.radians(degrees))
    return _transform(solid, movement, True).Shape()


def mirrored(solid: Solid) -> Solid:
    """The mirror image in the plane y = 0."""
    movement = _movement()
    movement.SetMirror(_axes(_point(0, 0, 0), _direction(0, 1, 0)))
    return _transform(solid, movement, True).Shape()


def scaled(solid: Solid, factor: float) -> Solid:
    """The same solid, larger or smaller."""
    movement = _movement()
    movement.SetScale(_point(0, 0, 0), factor)
    return _transform(solid, movement, True).Shape()


def write(solid: Solid, path: Path, *, inch: bool = False, deflection: float = 0.05) -> None:
    """Write a solid in the format of the suffix: ``.step``, ``.iges`` or ``.stl``.

    Args:
        solid: Its lengths are in mm.
        path: Where to.
        inch: Whether a STEP file gives lengths in inches.
        deflection: How far the facets of an STL file may be off the solid, in mm.

    Raises:
        OSError: The kernel could not write the file.
    """
    if path.suffix == ".step":
        _write_step(solid, str(path), "INCH" if inch else "MM")
    elif path.suffix == ".iges":
        _write_iges(solid, str(path))
    else:
        _write_stl(solid, str(path), deflection)
    if not path.is_file():
        raise OSError(f"could not write {path}")


def _write_step(solid: Solid, path: str, unit: str) -> None:
    _StepWriter()  # the kernel's settings exist from the first writer on
    kernel_function("Interface_Static", "SetCVal")("write.step.unit", unit)
    writer = _StepWriter()
    writer.Transfer(solid, _AS_IS)
    writer.Write(path)


def _write_iges(solid: Solid, path: str) -> None:
    writer = _IgesWriter("MM", 1)
    writer.AddShape(solid)
    writer.ComputeModel()
    writer.Write(path)


def _write_stl(solid: Solid, path: str, deflection: float) -> None:
    _mesher(solid, deflection, False, 0.5 if deflection < 0.5 else 1.0, False)
    faces = map(triangles, explore(solid, FACE))
    corners = np.concatenate([vertices[facets] for vertices, facets in faces])
    mesh = Mesh(np.zeros(len(corners), Mesh.dtype))
    mesh.vectors[:] = corners
    mesh.save(path, mode=Mode.BINARY)
