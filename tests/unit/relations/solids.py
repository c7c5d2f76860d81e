"""Solids for the tests of relations: motions, deceiving pairs, and subjects made without a file."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from cadml_core import CadDocument, MeshRequest, ReadLimits, TriangleMesh
from cadml_core.documents.feature_list import decode_features, encode_features
from cadml_core.relations.relation import Subject
from cadml_plugins.formats.kernel import _document
from cadml_plugins.formats.kernel._occt import kernel_class, kernel_function
from tests.unit.formats import kernel_parts as parts

Shape = Any
_numbers = itertools.count()


def subject(shape: Shape, mesh: MeshRequest | None = None) -> Subject:
    """Measure a shape as the readers do, with a list that was packed and unpacked."""
    document = document_of(shape, mesh)
    features = None if document.features is None else decode_features(encode_features(document.features))
    name = hashlib.sha256(str(next(_numbers)).encode()).hexdigest()
    return Subject(name, document.without_mesh(), features)


def document_of(shape: Shape, mesh: MeshRequest | None = None) -> CadDocument:
    """Return the document of a shape."""
    limits = ReadLimits(mesh=mesh)
    return _document.build("step", shape, limits, unit="mm", layers=(), properties={}, warnings=())


def mesh_of(shape: Shape, deflection: float) -> TriangleMesh:
    """Return a mesh with a deflection relative to the diagonal."""
    mesh = document_of(shape, MeshRequest(deflection, 400_000)).mesh
    assert mesh is not None
    return mesh


def turned(shape: Shape, axis: Sequence[float], angle: float, shift: Sequence[float] = (0, 0, 0)) -> Shape:
    """Turn a shape about an axis through the origin, by an angle in radians, and move it."""
    turn, move = kernel_class("gp_Trsf")(), kernel_class("gp_Trsf")()
    line = kernel_class("gp_Ax1")(parts.point(0, 0, 0), kernel_class("gp_Dir")(*axis))
    turn.SetRotation(line, angle)
    move.SetTranslation(kernel_class("gp_Vec")(*shift))
    return kernel_class("BRepBuilderAPI_Transform")(shape, move.Multiplied(turn), True).Shape()


def mirrored(shape: Shape) -> Shape:
    """Reflect a shape in a plane through the origin that is no plane of symmetry."""
    image = kernel_class("gp_Trsf")()
    image.SetMirror(kernel_class("gp_Ax2")(parts.point(0, 0, 0), kernel_class("gp_Dir")(0.3, 0.5, 0.7)))
    return kernel_class("BRepBuilderAPI_Transform")(shape, image, True).Shape()


def scaled(shape: Shape, factor: float) -> Shape:
    """Make a shape larger."""
    larger = kernel_class("gp_Trsf")()
    larger.SetScale(parts.point(0, 0, 0), factor)
    return kernel_class("BRepBuilderAPI_Transform")(shape, larger, True).Shape()


def ring(count: int, radius: float, start: float = 0.0, diameter: float = 4.0) -> list[Shape]:
    """Cylinders along z in a circle, long enough to drill through anything here."""
    angles = [start + 2 * math.pi * index / count for index in range(count)]
    return [
        parts.cylinder(diameter / 2, 200, x=radius * math.cos(a), y=radius * math.sin(a), z=-100)
        for a in angles
    ]


def prism(sides: int, radius: float, height: float, start: float = 0.0, z: float = 0.0) -> Shape:
    """A regular prism about z."""
    angles = [start + 2 * math.pi * index / sides for index in range(sides)]
    maker = kernel_class("BRepBuilderAPI_MakePolygon")()
    for a in angles:
        maker.Add(parts.point(radius * math.cos(a), radius * math.sin(a), z))
    maker.Close()
    face = kernel_class("BRepBuilderAPI_MakeFace")(maker.Wire()).Face()
    return kernel_class("BRepPrimAPI_MakePrism")(face, kernel_class("gp_Vec")(0, 0, height)).Shape()


def two_circles(turn: float) -> Shape:
    """A flange with a fixed circle of six holes and a clocked one of five."""
    return parts.cut(parts.cylinder(60, 10), *ring(6, 45), *ring(5, 25, turn))


def hex_socket(turn: float) -> Shape:
    """A hexagonal head with a hexagonal socket that is turned against it."""
    return parts.cut(prism(6, 20, 12), prism(6, 8, 20, turn, z=4))


def square_flange(turn: float) -> Shape:
    """A square plate with a ring of three holes that is turned against it."""
    return parts.cut(parts.box(80, 80, 8, at=(-40, -40, 0)), *ring(3, 28, turn))


def round_flange(turn: float) -> Shape:
    """Two flanges on a pipe, their holes clocked against one another."""
    low = parts.cut(parts.cylinder(40, 6), *ring(4, 32))
    high = parts.cut(parts.cylinder(40, 6, z=50), *ring(4, 32, turn))
    pipe = parts.cylinder(15, 56)
    return parts.fuse(parts.fuse(low, pipe), high)


def triangles(drill: Callable[[float], Shape]) -> Shape:
    """A disc from which three copies, a third of a turn apart, of each of four tools are cut."""
    third = 2 * math.pi / 3
    tools = [turned(drill(index), (0, 0, 1), third * copy) for index in range(4) for copy in range(3)]
    return parts.cut(parts.cylinder(60, 20), *tools)


def depths(order: Sequence[float]) -> Shape:
    """A disc with twelve blind holes, each depth in a regular triangle, in this order around the circle."""

    def drill(index: float) -> Shape:
        a = math.radians(30 * index)
        return parts.cylinder(3, 50, x=40 * math.cos(a), y=40 * math.sin(a), z=20 - order[int(index)])

    return triangles(drill)


def diameters(order: Sequence[float]) -> Shape:
    """A disc with twelve through holes, each diameter in a regular triangle."""

    def drill(index: float) -> Shape:
        a = math.radians(30 * index)
        return parts.cylinder(order[int(index)] / 2, 50, x=40 * math.cos(a), y=40 * math.sin(a), z=-5)

    return triangles(drill)


def row(places: Sequence[float]) -> Shape:
    """A bar with a row of holes whose middle is that of the bar."""
    start = sum(places) / len(places) - 120
    drills = [parts.cylinder(3, 40, x=x - start, y=15, z=-5) for x in places]
    return parts.cut(parts.box(240, 30, 10), *drills)


def circle_of(places: Sequence[int], count: int) -> Shape:
    """A disc with holes at some of ``count`` places of a circle."""
    drills = ring(count, 40)
    return parts.cut(parts.cylinder(60, 10), *[drills[place] for place in places])


def spring(turns: float, hand: int) -> Shape:
    """A wire along a helix of whole turns."""
    radius, pitch, wire = 10.0, 6.0, 1.2
    surface = kernel_class("Geom_CylindricalSurface")(kernel_class("gp_Ax3")(), radius)
    line = kernel_class("Geom2d_Line")(
        kernel_class("gp_Pnt2d")(0, 0), kernel_class("gp_Dir2d")(2 * math.pi * hand, pitch)
    )
    length = turns * math.hypot(2 * math.pi, pitch)
    edge = kernel_class("BRepBuilderAPI_MakeEdge")(line, surface, 0.0, length).Edge()
    kernel_function("BRepLib", "BuildCurves3d")(edge)
    path = kernel_class("BRepBuilderAPI_MakeWire")(edge).Wire()
    frame = parts.axes(radius, 0, 0, (0, 2 * math.pi * radius * hand, pitch))
    profile = kernel_class("BRepBuilderAPI_MakeEdge")(kernel_class("gp_Circ")(frame, wire)).Edge()
    face = kernel_class("BRepBuilderAPI_MakeFace")(
        kernel_class("BRepBuilderAPI_MakeWire")(profile).Wire()
    ).Face()
    return kernel_class("BRepOffsetAPI_MakePipe")(path, face).Shape()


def ellipse_boss(turn: float) -> Shape:
    """A disc with six holes and an elliptical boss that is turned against them."""
    frame = kernel_class("gp_Ax2")(
        parts.point(0, 0, 5),
        kernel_class("gp_Dir")(0, 0, 1),
        kernel_class("gp_Dir")(math.cos(turn), math.sin(turn), 0),
    )
    edge = kernel_class("BRepBuilderAPI_MakeEdge")(kernel_class("gp_Elips")(frame, 20, 9)).Edge()
    face = kernel_class("BRepBuilderAPI_MakeFace")(
        kernel_class("BRepBuilderAPI_MakeWire")(edge).Wire()
    ).Face()
    boss = kernel_class("BRepPrimAPI_MakePrism")(face, kernel_class("gp_Vec")(0, 0, 12)).Shape()
    return parts.fuse(parts.cut(parts.cylinder(60, 10), *ring(6, 50)), boss)


def radial_holes(turn: float) -> Shape:
    """A shaft with three radial holes, and four above that are turned against them."""
    drill = parts.cylinder(2, 30, x=8, z=20, direction=(1, 0, 0))
    upper = parts.cylinder(2, 30, x=8, z=60, direction=(1, 0, 0))
    # None lies on the seam of the shaft, which would split its face.
    tools = [turned(drill, (0, 0, 1), 0.3 + 2 * math.pi * copy / 3) for copy in range(3)]
    tools += [turned(upper, (0, 0, 1), 0.4 + turn + math.pi * copy / 2) for copy in range(4)]
    return parts.cut(parts.cylinder(15, 80), *tools)


def pentagon_boss(turn: float) -> Shape:
    """A hexagonal plate with a pentagonal boss that is turned against it."""
    return parts.fuse(prism(6, 40, 10), prism(5, 15, 12, turn, z=8))


DECEIVING: dict[str, tuple[Callable[[], Shape], Callable[[], Shape]]] = {
    "clocked bolt circles": (lambda: two_circles(0.0), lambda: two_circles(math.radians(5))),
    "turned socket": (lambda: hex_socket(0.0), lambda: hex_socket(math.radians(20))),
    "turned holes in a square": (lambda: square_flange(0.0), lambda: square_flange(math.radians(8))),
    "turned flanges": (lambda: round_flange(0.0), lambda: round_flange(math.radians(30))),
    "swapped depths": (lambda: depths((4, 8, 12, 16)), lambda: depths((4, 12, 8, 16))),
    "swapped diameters": (lambda: diameters((4, 6, 8, 10)), lambda: diameters((4, 8, 6, 10))),
    "homometric row": (
        lambda: row((0, 10, 40, 100, 120, 170)),
        lambda: row((0, 10, 80, 110, 130, 170)),
    ),
    "homometric circle of eight": (lambda: circle_of((0, 1, 2, 5), 8), lambda: circle_of((0, 1, 3, 4), 8)),
    "homometric circle of twelve": (lambda: circle_of((0, 1, 4, 6), 12), lambda: circle_of((0, 1, 3, 7), 12)),
    "turned elliptical boss": (lambda: ellipse_boss(0.0), lambda: ellipse_boss(math.radians(20))),
    "turned radial holes": (lambda: radial_holes(0.0), lambda: radial_holes(math.radians(10))),
    "turned pentagon": (lambda: pentagon_boss(0.0), lambda: pentagon_boss(math.radians(4))),
}
"""Twelve kinds of pairs that agree in volume, area and moments, and are different parts."""
