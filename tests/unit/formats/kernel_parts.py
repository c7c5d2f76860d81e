"""Parts made with Open CASCADE for the tests, and files of them, by whichever binding is installed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cadml_plugins.formats.kernel import _topology
from cadml_plugins.formats.kernel._occt import kernel_class, kernel_function

Shape = Any


def point(x: float, y: float, z: float) -> Any:
    """Return a kernel point."""
    return kernel_class("gp_Pnt")(x, y, z)


def axes(x: float = 0.0, y: float = 0.0, z: float = 0.0, direction: Sequence[float] = (0, 0, 1)) -> Any:
    """Return a right-handed placement at a point, its main axis in a direction."""
    return kernel_class("gp_Ax2")(point(x, y, z), kernel_class("gp_Dir")(*direction))


def box(
    width: float = 10.0, height: float = 20.0, depth: float = 30.0, at: Sequence[float] = (0, 0, 0)
) -> Shape:
    """Return a block with one corner at ``at``."""
    return kernel_class("BRepPrimAPI_MakeBox")(point(*at), width, height, depth).Shape()


def cylinder(radius: float = 5.0, height: float = 12.0, **place: Any) -> Shape:
    """Return a full cylinder."""
    return kernel_class("BRepPrimAPI_MakeCylinder")(axes(**place), radius, height).Shape()


def cone(bottom: float = 6.0, top: float = 2.0, height: float = 9.0) -> Shape:
    """Return a truncated cone."""
    return kernel_class("BRepPrimAPI_MakeCone")(axes(), bottom, top, height).Shape()


def sphere(radius: float = 7.0, at: Sequence[float] = (0, 0, 0)) -> Shape:
    """Return a ball."""
    return kernel_class("BRepPrimAPI_MakeSphere")(point(*at), radius).Shape()


def torus(major: float = 10.0, minor: float = 3.0, angle: float = 2 * math.pi) -> Shape:
    """Return a ring, or a part of one."""
    return kernel_class("BRepPrimAPI_MakeTorus")(axes(), major, minor, angle).Shape()


def cut(body: Shape, *tools: Shape) -> Shape:
    """Take the tools away from the body."""
    for tool in tools:
        body = _only_solid(kernel_class("BRepAlgoAPI_Cut")(body, tool).Shape())
    return body


def fuse(body: Shape, other: Shape) -> Shape:
    """Join two overlapping bodies."""
    return _only_solid(kernel_class("BRepAlgoAPI_Fuse")(body, other).Shape())


def _only_solid(shape: Shape) -> Shape:
    (solid,) = _topology.distinct(shape, _topology.SOLID)
    return solid


def drilled_cylinder() -> Shape:
    """Return a disc with an axial bore and four holes around it."""
    holes = [cylinder(1.5, 30, x=x, y=y, z=-5) for x, y in ((7, 0), (-7, 0), (0, 7), (0, -7))]
    return cut(cylinder(10, 8), cylinder(3, 30, z=-5), *holes)


def bracket() -> Shape:
    """Return an angle bracket with a hole in each leg."""
    angle = fuse(box(40, 20, 4), box(4, 20, 30))
    return cut(
        angle, cylinder(3, 10, x=28, y=10, z=-2), cylinder(3, 10, x=-2, y=10, z=20, direction=(1, 0, 0))
    )


def filleted_block(radius: float = 2.0) -> Shape:
    """Return a block with every edge rounded: planes, cylinders and spheres."""
    block = box(30, 20, 10)
    fillet = kernel_class("BRepFilletAPI_MakeFillet")(block)
    as_edge = kernel_function("TopoDS", "Edge")
    for edge in _topology.distinct(block, _topology.EDGE):
        fillet.Add(radius, as_edge(edge))
    return fillet.Shape()


def as_nurbs(shape: Shape) -> Shape:
    """Rewrite every surface and curve as a B-spline."""
    return kernel_class("BRepBuilderAPI_NurbsConvert")(shape, True).Shape()


def placed(shape: Shape, x: float = 0.0, y: float = 0.0, z: float = 0.0, turn: float = 0.0) -> Shape:
    """Return another use of the same shape, turned about z and then moved."""
    transform = kernel_class("gp_Trsf")()
    vertical = kernel_class("gp_Ax1")(point(0, 0, 0), kernel_class("gp_Dir")(0, 0, 1))
    transform.SetRotation(vertical, turn)
    transform.SetTranslationPart(kernel_class("gp_Vec")(x, y, z))
    return shape.Located(kernel_class("TopLoc_Location")(transform))


def faces(shape: Shape) -> list[Shape]:
    """Return the faces of a shape."""
    return list(_topology.distinct(shape, _topology.FACE))


def edges(shape: Shape) -> list[Shape]:
    """Return the edges of a shape."""
    return list(_topology.distinct(shape, _topology.EDGE))


def compound(shapes: Iterable[Shape]) -> Shape:
    """Put shapes together."""
    return _topology.compound(shapes)


def faceted(shape: Shape, folder: Path, deflection: float = 0.05) -> Shape:
    """Return a face that has the shape's triangles and no surface."""
    stl = write_stl(shape, folder / "facets.stl", deflection)
    mesh = kernel_function("RWStl", "ReadFile")(str(stl))
    face = kernel_class("TopoDS_Face")()
    kernel_class("BRep_Builder")().MakeFace(face, mesh)
    return face


def write_step(shape: Shape, path: Path, *, unit: str = "MM", schema: str = "AP214IS") -> Path:
    """Write a STEP file; compounds become assemblies."""
    writer = kernel_class("STEPControl_Writer")
    writer()  # the settings exist from the first writer on
    _set({"write.step.unit": unit, "write.step.schema": schema, "write.step.assembly": "1"})
    _set({"write.step.tessellated": "On"})
    job = writer()
    job.Transfer(shape, kernel_class("STEPControl_AsIs"))
    job.Write(str(path))
    return path


def write_iges(shape: Shape, path: Path, *, unit: str = "MM", solids: bool = False) -> Path:
    """Write an IGES file: loose trimmed surfaces, or manifold solids."""
    kernel_function("IGESControl_Controller", "Init")()
    writer = kernel_class("IGESControl_Writer")(unit, int(solids))
    writer.AddShape(shape)
    writer.ComputeModel()
    writer.Write(str(path))
    return path


def write_stl(shape: Shape, path: Path, deflection: float = 0.005) -> Path:
    """Write an STL file with facets no further off than the deflection."""
    kernel_class("BRepMesh_IncrementalMesh")(shape, deflection, False, 0.1, False)
    kernel_class("StlAPI_Writer")().Write(shape, str(path))
    return path


def _set(options: dict[str, str]) -> None:
    for name, value in options.items():
        kernel_function("Interface_Static", "SetCVal")(name, value)


def segment(start: Sequence[float], end: Sequence[float]) -> Shape:
    """Return a straight edge."""
    return kernel_class("BRepBuilderAPI_MakeEdge")(point(*start), point(*end)).Edge()


def ellipse(major: float = 8.0, minor: float = 3.0) -> Shape:
    """Return a closed elliptic edge in the plane z = 0."""
    return kernel_class("BRepBuilderAPI_MakeEdge")(kernel_class("gp_Elips")(axes(), major, minor)).Edge()


def vertex(x: float, y: float, z: float) -> Shape:
    """Return a point as a shape."""
    return kernel_class("BRepBuilderAPI_MakeVertex")(point(x, y, z)).Vertex()


def revolved(edge: Shape) -> Shape:
    """Turn an edge about z."""
    vertical = kernel_class("gp_Ax1")(point(0, 0, 0), kernel_class("gp_Dir")(0, 0, 1))
    return kernel_class("BRepPrimAPI_MakeRevol")(edge, vertical).Shape()


def extruded(edge: Shape, height: float = 5.0) -> Shape:
    """Move an edge up."""
    return kernel_class("BRepPrimAPI_MakePrism")(edge, kernel_class("gp_Vec")(0, 0, height)).Shape()
