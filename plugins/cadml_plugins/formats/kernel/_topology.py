"""The topology of shapes: kinds, sub-shapes and placements; compounds, shells and solids made of others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cadml_plugins.formats.kernel._occt import Failure, Shape, kernel_class, kernel_function

COMPOUND, COMPSOLID, SOLID, SHELL, FACE, WIRE, EDGE, VERTEX = (
    kernel_class(f"TopAbs_{name}")
    for name in ("COMPOUND", "COMPSOLID", "SOLID", "SHELL", "FACE", "WIRE", "EDGE", "VERTEX")
)
_REVERSED = kernel_class("TopAbs_REVERSED")
_ANY = kernel_class("TopAbs_SHAPE")

_ShapeMap = kernel_class(
    "TopTools_IndexedMapOfShape", "collections:IndexedMap_TopoDS_Shape_TopTools_ShapeMapHasher"
)
_Explorer = kernel_class("TopExp_Explorer")
_Iterator = kernel_class("TopoDS_Iterator")
_Location = kernel_class("TopLoc_Location")
_Compound = kernel_class("TopoDS_Compound")
_Shell = kernel_class("TopoDS_Shell")
_Builder = kernel_class("BRep_Builder")
_Sewing = kernel_class("BRepBuilderAPI_Sewing")
_SolidClassifier = kernel_class("BRepClass3d_SolidClassifier")
_MakeSolid = kernel_class("BRepBuilderAPI_MakeSolid")
_Analyzer = kernel_class("BRepCheck_Analyzer")
_map_shapes = kernel_function("TopExp", "MapShapes")
_is_closed = kernel_function("BRep_Tool", "IsClosed")
_as_shell = kernel_function("TopoDS", "Shell")
_as_vertex = kernel_function("TopoDS", "Vertex")
_point = kernel_function("BRep_Tool", "Pnt")
_tolerance = kernel_function("BRep_Tool", "Tolerance")
_IN, _ON = kernel_class("TopAbs_IN"), kernel_class("TopAbs_ON")
_as_solid = kernel_function("TopoDS", "Solid")
_orient = kernel_function("BRepLib", "OrientClosedSolid")
_IDENTITY = _Location()


def kind(shape: Shape) -> Any:
    """Return the shape's topological kind, one of this module's COMPOUND .. VERTEX."""
    return shape.ShapeType()


def at_origin(shape: Shape) -> Shape:
    """Return the shape without its placement."""
    return shape.Located(_IDENTITY)


def is_reversed(shape: Shape) -> bool:
    """Tell whether the shape is used with its orientation reversed."""
    return bool(shape.Orientation() == _REVERSED)


def placement(location: Any) -> NDArray[np.float64] | None:
    """Return a location as a 4 x 4 matrix; None for the identity."""
    if location.IsIdentity():
        return None
    transform = location.Transformation()
    matrix = np.eye(4)
    for row in range(3):
        for column in range(4):
            matrix[row, column] = transform.Value(row + 1, column + 1)
    return matrix


def is_rigid(matrix: NDArray[np.float64]) -> bool:
    """Tell whether a 4 x 4 matrix keeps lengths and does not mirror."""
    return abs(float(np.linalg.det(matrix[:3, :3])) - 1.0) < 1e-6


def children(shape: Shape) -> Iterator[Shape]:
    """Yield the direct sub-shapes, oriented and placed as the shape is."""
    iterator = _Iterator(shape, True, True)
    while iterator.More():
        yield iterator.Value()
        iterator.Next()


class ShapeIndex:
    """Numbers shapes; every use of one shape in one place has the same number."""

    def __init__(self) -> None:
        self._map = _ShapeMap()

    def number(self, shape: Shape) -> int:
        """Return the shape's number, from 1; a shape that is new gets the next one."""
        return int(self._map.Add(shape))


def distinct(shape: Shape, kind: Any) -> list[Shape]:
    """Return the sub-shapes of a kind, each once however many neighbours share it."""
    found = _ShapeMap()
    _map_shapes(shape, kind, found)
    return [found.FindKey(index) for index in range(1, found.Size() + 1)]


def count_distinct(shape: Shape, kind: Any) -> int:
    """Return how many sub-shapes of a kind there are, shared ones once."""
    found = _ShapeMap()
    _map_shapes(shape, kind, found)
    return int(found.Size())


def explore(shape: Shape, kind: Any, *, outside: Any = _ANY) -> list[Shape]:
    """Return the sub-shapes of a kind, once for each use, except those within the kind ``outside``."""
    found = []
    explorer = _Explorer(shape, kind, outside)
    while explorer.More():
        found.append(explorer.Current())
        explorer.Next()
    return found


def groups(shape: Shape, kind: Any, *, outside: Any) -> list[list[Shape]]:
    """Return the sub-shapes of a kind by the compound they lie in, except those within ``outside``."""
    found: list[list[Shape]] = []
    loose: list[Shape] = []
    for child in children(shape) if shape.ShapeType() in (COMPOUND, COMPSOLID) else (shape,):
        if child.ShapeType() in (COMPOUND, COMPSOLID):
            found += groups(child, kind, outside=outside)
        else:
            loose += explore(child, kind, outside=outside)
    return [*found, loose] if loose else found


def loose_faces(shape: Shape) -> list[Shape]:
    """Return the faces outside of shells."""
    return explore(shape, FACE, outside=SHELL)


def compound(shapes: Iterable[Shape]) -> Shape:
    """Put shapes together without joining them."""
    result, builder = _Compound(), _Builder()
    builder.MakeCompound(result)
    for shape in shapes:
        builder.Add(result, shape)
    return result


def sew(faces: Iterable[Shape], tolerance: float) -> Shape:
    """Join faces along edges that are no further apart than ``tolerance``, in millimetres.

    Raises:
        Failure: The kernel threw.
    """
    sewing = _Sewing(tolerance)
    for face in faces:
        sewing.Add(face)
    sewing.Perform()
    return sewing.SewedShape()


def shell_of(face: Shape) -> Shape:
    """Return a shell of one face."""
    result, builder = _Shell(), _Builder()
    builder.MakeShell(result)
    builder.Add(result, face)
    return result


def is_closed(shell: Shape) -> bool:
    """Tell whether a shell has no free edge."""
    return bool(_is_closed(shell))


def contains(solid: Shape, other: Shape) -> bool:
    """Tell whether a shape that does not cross a solid's surface lies in its inside."""
    classifier = _SolidClassifier(solid)
    for vertex in distinct(other, VERTEX):
        classifier.Perform(_point(_as_vertex(vertex)), _tolerance(_as_vertex(vertex)))
        if classifier.State() != _ON:
            return bool(classifier.State() == _IN)
    return False


def lies_within(shell: Shape, outer: Shape) -> bool:
    """Tell whether a shell lies in the inside of a closed one, whichever way they face.

    A shell that cannot be made a solid holds nothing.
    """
    try:
        return contains(solid_of(outer), shell)
    except Failure:
        return False


def hollow(solid: Shape, cavities: Iterable[Shape]) -> Shape:
    """Return a solid with closed shells as the walls of its cavities."""
    maker = _MakeSolid(_as_solid(solid))
    for shell in cavities:
        (outwards,) = distinct(solid_of(shell), SHELL)
        maker.Add(_as_shell(outwards.Reversed()))
    return maker.Solid()


def solid_of(shell: Shape) -> Shape:
    """Return the solid that a closed shell bounds, oriented so that its volume is finite.

    Raises:
        Failure: The kernel threw.
    """
    solid = _as_solid(_MakeSolid(_as_shell(shell)).Solid())
    _orient(solid)
    return solid


def is_valid(shape: Shape) -> bool:
    """Tell whether topology and geometry agree, as the kernel's full check does.

    Raises:
        Failure: The kernel threw.
    """
    return bool(_Analyzer(shape, True).IsValid())
