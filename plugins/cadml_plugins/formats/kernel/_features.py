"""The features of one part at the origin: its faces, edges and vertices, as congruence compares them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cadml_core import EDGE_CODES, FACE_CODES, VERTEX
from cadml_plugins.formats.kernel import _topology
from cadml_plugins.formats.kernel._geometry import xyz
from cadml_plugins.formats.kernel._nodes import Nodes
from cadml_plugins.formats.kernel._occt import Failure, Shape, kernel_class, kernel_function

Array = NDArray[np.float64]

_Surface, _Curve = kernel_class("BRepAdaptor_Surface"), kernel_class("BRepAdaptor_Curve")
_CurveIntegral, _Point = kernel_class("BRepGProp_Cinert"), kernel_class("gp_Pnt")
_CYLINDER, _SPHERE, _TORUS = (kernel_class(f"GeomAbs_{name}") for name in ("Cylinder", "Sphere", "Torus"))
_CIRCLE = kernel_class("GeomAbs_Circle")
_as_face, _as_edge, _as_vertex = (kernel_function("TopoDS", kind) for kind in ("Face", "Edge", "Vertex"))
_is_closed = kernel_function("BRep_Tool", "IsClosed")
_place_of = kernel_function("BRep_Tool", "Pnt")


class FoundFace(NamedTuple):
    """A face with its measures."""

    shape: Shape
    name: str
    """Of its surface, as it was recognised."""
    area: float
    """In mm²."""
    integral: Any
    """The kernel's integral over the area; None where it would be wrong."""


@dataclass(slots=True)
class Found:
    """What the census met in one part: shapes with their names, faces with their integrals."""

    faces: list[FoundFace] = field(default_factory=list)
    edges: list[tuple[Shape, str]] = field(default_factory=list)
    """Edges that are not degenerate, with the name of their curve."""


@dataclass(slots=True)
class Features:
    """The features of one part at the origin; columns as in ``FeatureList``, tensors as (n, 3, 3) in mm²."""

    kinds: NDArray[np.uint8]
    points: Array
    sizes: Array
    radii: Array
    tensors: Array
    faces: int
    edges: int
    vertices: int


def part_features(
    found: Found, reference: tuple[float, float, float], nodes: Sequence[Nodes] | None
) -> Features:
    """Describe faces, edges and vertices of a part.

    Args:
        found: The part.
        reference: A point near it.
        nodes: Of each face, where there are any: more exact than the kernel's integrals over curved faces.

    Raises:
        Failure: The kernel threw.
    """
    rows = [
        row
        for index, face in enumerate(found.faces)
        if (row := _face(face, nodes[index] if nodes else None)) is not None
    ]
    edges, ends = _edges(found, reference)
    rows += edges
    rows += [(VERTEX, xyz(_place_of(_as_vertex(vertex))), 0.0, 0.0, _NONE) for vertex in ends]
    kinds, points, sizes, radii, tensors = zip(*rows, strict=True) if rows else ((),) * 5
    count = len(rows)
    return Features(
        np.array(kinds, np.uint8),
        np.array(points, np.float64).reshape(count, 3),
        np.array(sizes, np.float64),
        np.array(radii, np.float64),
        np.array(tensors, np.float64).reshape(count, 3, 3),
        len(found.faces),
        len(edges),
        len(ends),
    )


_NONE = np.zeros((3, 3))
_AGREEMENT = 1e-4
_Row = tuple[int, Array, float, float, Array]


def covariance(integral: Any, amount: float) -> Array:
    """Return the covariance of what the kernel integrated over, (3, 3): its inertia tells it."""
    inertia = integral.MatrixOfInertia()
    tensor = np.array([[inertia.Value(row, column) for column in (1, 2, 3)] for row in (1, 2, 3)])
    spread: Array = (np.trace(tensor) / 2.0 * np.eye(3) - tensor) / amount
    return spread


def _face(face: FoundFace, nodes: Nodes | None) -> _Row | None:
    """Describe a face; None where neither nodes nor the kernel give its centroid."""
    known = _spread(nodes, face.area)
    if known is None:
        if face.integral is None or not face.area:
            return None
        known = xyz(face.integral.CentreOfMass()), covariance(face.integral, float(face.integral.Mass()))
    centre, tensor = known
    # The edges of a plane say all about it; a curved face may turn between them.
    tensor = _NONE if face.name == "plane" else tensor
    return FACE_CODES[face.name], centre, math.sqrt(face.area), _radius(face.shape, face.name), tensor


def _spread(nodes: Nodes | None, area: float) -> tuple[Array, Array] | None:
    """Return centroid and covariance by nodes; None where they do not give the area."""
    if nodes is None or not len(nodes.areas):
        return None
    total = float(nodes.areas.sum())
    if abs(abs(total) - area) > _AGREEMENT * area:
        return None
    shares = nodes.areas / total
    centre = shares @ nodes.points
    arms = nodes.points - centre
    return centre, (arms * shares[:, None]).T @ arms


def _radius(face: Shape, name: str) -> float:
    """Return the radius of a round face, negative for a hollow one; 0 where there is none."""
    if name not in ("cylinder", "sphere", "torus"):
        return 0.0
    surface = _Surface(_as_face(face), False)
    kind = surface.GetType()
    if kind == _CYLINDER:
        radius, position = surface.Cylinder().Radius(), surface.Cylinder().Position()
    elif kind == _SPHERE:
        radius, position = surface.Sphere().Radius(), surface.Sphere().Position()
    elif kind == _TORUS:
        radius, position = surface.Torus().MinorRadius(), surface.Torus().Position()
    else:  # recognised as round, but written as something else
        return 0.0
    hollow = _topology.is_reversed(face) == position.Direct()
    return -float(radius) if hollow else float(radius)


def _edges(found: Found, reference: tuple[float, float, float]) -> tuple[list[_Row], list[Shape]]:
    """Return the edges that have a defined place, and the vertices where open ones end."""
    index = _topology.ShapeIndex()
    seams = _seams(found, index)
    met = _topology.ShapeIndex()
    rows: list[_Row] = []
    ends: list[Shape] = []
    for edge, name in found.edges:
        if index.number(edge) in seams:
            continue
        closed = bool(_is_closed(edge))
        row = _edge(edge, name, reference, closed=closed)
        if row is None:
            continue
        rows.append(row)
        if not closed:
            for vertex in _topology.distinct(edge, _topology.VERTEX):
                if met.number(vertex) > len(ends):
                    ends.append(vertex)
    return rows, ends


def _edge(edge: Shape, name: str, reference: tuple[float, float, float], *, closed: bool) -> _Row | None:
    try:
        integral = _CurveIntegral(_Curve(_as_edge(edge)), _Point(*reference))
    except Failure:
        return None
    length = float(integral.Mass())
    if not (math.isfinite(length) and length > 0.0):
        return None
    tensor = covariance(integral, length) if closed else _NONE
    radius = 0.0
    if name == "circle" and (curve := _Curve(_as_edge(edge))).GetType() == _CIRCLE:
        radius = float(curve.Circle().Radius())
    return EDGE_CODES[name], xyz(integral.CentreOfMass()), length, radius, tensor


def _seams(found: Found, index: _topology.ShapeIndex) -> set[int]:
    """Return the numbers of edges that one face uses twice."""
    seams: set[int] = set()
    for face, name, _, _ in found.faces:
        if name == "plane":
            continue
        numbers = [index.number(edge) for edge in _topology.explore(face, _topology.EDGE)]
        if len(set(numbers)) < len(numbers):
            seams.update(number for number in numbers if numbers.count(number) > 1)
    return seams
