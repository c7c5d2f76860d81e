"""Nodes on a face: places, outward normals and areas over which functions of both are integrated.

A plane needs one node, since its normal is constant and the functions are linear in the place. Other faces
are integrated over their parameters u and v by Green's theorem: the integral of f over the face is that of
-F du along its edges, where F is the integral of f over v.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cadml_plugins.formats.kernel import _topology
from cadml_plugins.formats.kernel._geometry import xyz
from cadml_plugins.formats.kernel._occt import Shape, kernel_class, kernel_function

Array = NDArray[np.float64]

ALONG, PIECES, ALONG_PIECE = 16, 8, 8
"""Gauss points along an edge that is straight in the parameters; pieces of any other, and points in each."""
FREE_FORM = 8
"""The same along a straight edge, and pieces of two points each of any other, where the kernel must evaluate
a free-form surface at every point: three microseconds each."""
ACROSS = {"cylinder": 4, "cone": 4, "extrusion": 4, "revolution": 12, "sphere": 16, "torus": 16}
"""Gauss points from a fixed v to the edge; v is a length on the first two, an angle on the others."""
_OTHERWISE = 6

_Surface = kernel_class("BRepAdaptor_Surface")
_Curve2d = kernel_class("BRepAdaptor_Curve2d")
_Point2d, _Vector2d = kernel_class("gp_Pnt2d"), kernel_class("gp_Vec2d")
_LINE, _FORWARD = kernel_class("GeomAbs_Line"), kernel_class("TopAbs_FORWARD")
_Point, _Vector = kernel_class("gp_Pnt"), kernel_class("gp_Vec")
_as_face, _as_edge = kernel_function("TopoDS", "Face"), kernel_function("TopoDS", "Edge")


class Nodes(NamedTuple):
    """n nodes."""

    points: Array
    """(n, 3), in mm."""
    normals: Array
    """(n, 3), of length 1, outward as far as the face is oriented so."""
    areas: Array
    """(n,), in mm²; some are negative by Green's theorem."""


def face_nodes(face: Shape, kind: str, area: float, centroid: Array) -> Nodes:
    """Return nodes of a face with exact geometry.

    Args:
        face: The face.
        kind: Its surface, as ``surface_kind`` names it.
        area: In mm².
        centroid: Of the surface, (3,).

    Raises:
        Failure: The kernel threw.
    """
    face = _as_face(face)
    if kind == "plane":
        return _plane(face, area, centroid)
    if kind in _PROFILES:
        return _revolved(face, kind)
    return _evaluated(face, kind)


def joined(parts: list[Nodes]) -> Nodes:
    """Put nodes together."""
    if not parts:
        return Nodes(np.empty((0, 3)), np.empty((0, 3)), np.empty(0))
    return Nodes(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _plane(face: Shape, area: float, centroid: Array) -> Nodes:
    position = _Surface(face, False).Plane().Position()
    flipped = _topology.is_reversed(face) == position.Direct()
    normal = xyz(position.Direction()) * (-1.0 if flipped else 1.0)
    return Nodes(centroid[None], normal[None], np.array([area]))


def _evaluated(face: Shape, kind: str) -> Nodes:
    """Have the kernel evaluate the surface at every node."""
    surface = _Surface(face, False)
    u, v, weights = _parameters(face, ACROSS.get(kind, _OTHERWISE))
    place, along, across = _Point(), _Vector(), _Vector()
    numbers: list[float] = []
    for first, second in zip(u.tolist(), v.tolist(), strict=True):
        surface.D1(first, second, place, along, across)
        numbers += (*place.Coord(), *along.Coord(), *across.Coord())
    rows = np.array(numbers, np.float64).reshape(-1, 9)
    x, y, z, p, q, r = rows[:, 3:].T
    vectors = np.column_stack([y * r - z * q, z * p - x * r, x * q - y * p])
    return _nodes(rows[:, :3], -vectors if _topology.is_reversed(face) else vectors, weights)


def _nodes(points: Array, vectors: Array, weights: Array) -> Nodes:
    """Take the length of the vectors as area, their direction as normal; leave out poles."""
    lengths = np.linalg.norm(vectors, axis=1)
    kept = lengths > 0.0
    return Nodes(points[kept], vectors[kept] / lengths[kept, None], (lengths * weights)[kept])


# A profile is the distance from the axis and the height along it as functions of v, with derivatives.
def _cylinder(surface: Any, v: Array) -> tuple[Array, Array, Array, Array]:
    zero = np.zeros_like(v)
    return zero + surface.Cylinder().Radius(), v, zero, zero + 1.0


def _cone(surface: Any, v: Array) -> tuple[Array, Array, Array, Array]:
    cone = surface.Cone()
    slope, rise = math.sin(cone.SemiAngle()), math.cos(cone.SemiAngle())
    zero = np.zeros_like(v)
    return cone.RefRadius() + v * slope, v * rise, zero + slope, zero + rise


def _sphere(surface: Any, v: Array) -> tuple[Array, Array, Array, Array]:
    radius = surface.Sphere().Radius()
    cosine, sine = radius * np.cos(v), radius * np.sin(v)
    return cosine, sine, -sine, cosine


def _torus(surface: Any, v: Array) -> tuple[Array, Array, Array, Array]:
    torus = surface.Torus()
    cosine, sine = torus.MinorRadius() * np.cos(v), torus.MinorRadius() * np.sin(v)
    return torus.MajorRadius() + cosine, sine, -sine, cosine


_PROFILES: dict[str, Callable[[Any, Array], tuple[Array, Array, Array, Array]]] = {
    "cylinder": _cylinder,
    "cone": _cone,
    "sphere": _sphere,
    "torus": _torus,
}


def _revolved(face: Shape, kind: str) -> Nodes:
    surface = _Surface(face, False)
    u, v, weights = _parameters(face, ACROSS[kind])
    distance, height, d_distance, d_height = _PROFILES[kind](surface, v)
    position = getattr(surface, kind.title())().Position()
    x, y, z = (xyz(axis) for axis in (position.XDirection(), position.YDirection(), position.Direction()))
    outward = np.cos(u)[:, None] * x + np.sin(u)[:, None] * y
    points = xyz(position.Location()) + distance[:, None] * outward + height[:, None] * z
    # The product of the derivatives by u and v: its direction is the normal, its length the area.
    vectors = distance[:, None] * (d_height[:, None] * outward - d_distance[:, None] * z)
    if _topology.is_reversed(face) == position.Direct():
        vectors = -vectors
    return _nodes(points, vectors, weights)


def _parameters(face: Shape, order: int) -> tuple[Array, Array, Array]:
    """Return u, v and weights by Green's theorem, (n,) each, with ``order`` Gauss points across."""
    ahead = _as_face(face.Oriented(_FORWARD))
    across, share = _gauss(order)
    columns, base = [], None
    for edge in _topology.explore(ahead, _topology.EDGE):
        curve = _Curve2d(_as_edge(edge), ahead)
        first, last = curve.FirstParameter(), curve.LastParameter()
        position, weight = _along_edge(curve.GetType() == _LINE, order == _OTHERWISE)
        u, v, du = _along(curve, first + (last - first) * position)
        base = float(v[0]) if base is None else base
        if not du.any():
            continue
        steps = du * weight * ((last - first) * (1.0 if _topology.is_reversed(edge) else -1.0))
        depth = v - base
        columns.append(
            (
                np.repeat(u, order),
                (base + np.outer(depth, across)).ravel(),
                np.outer(steps * depth, share).ravel(),
            )
        )
    if not columns:
        return np.empty(0), np.empty(0), np.empty(0)
    u, v, weights = (np.concatenate(column) for column in zip(*columns, strict=True))
    return u, v, weights


def _along(curve: Any, parameters: Array) -> tuple[Array, Array, Array]:
    """Return u, v and the derivative of u along a curve in the plane of the parameters."""
    if curve.GetType() == _LINE:
        line = curve.Line()
        place, direction = line.Location(), line.Direction()
        run = direction.X() if abs(direction.X()) > 1e-14 else 0.0
        return (
            place.X() + parameters * run,
            place.Y() + parameters * direction.Y(),
            np.full_like(parameters, run),
        )
    place, derivative = _Point2d(), _Vector2d()
    numbers: list[float] = []
    for parameter in parameters.tolist():
        curve.D1(parameter, place, derivative)
        numbers += (*place.Coord(), derivative.X())
    rows = np.array(numbers, np.float64).reshape(-1, 3)
    return rows[:, 0], rows[:, 1], rows[:, 2]


@lru_cache(maxsize=4)
def _along_edge(straight: bool, free_form: bool) -> tuple[Array, Array]:
    """Return points and weights on 0 .. 1, in pieces for a curve that may be smooth in pieces only."""
    if straight:
        return _gauss(FREE_FORM if free_form else ALONG)
    points, weights = _gauss(2 if free_form else ALONG_PIECE)
    starts = np.arange(PIECES)[:, None]
    return ((starts + points) / PIECES).ravel(), np.tile(weights / PIECES, PIECES)


@lru_cache(maxsize=8)
def _gauss(order: int) -> tuple[Array, Array]:
    """Return the points and weights of Gauss and Legendre on 0 .. 1."""
    points, weights = np.polynomial.legendre.leggauss(order)
    return (points + 1.0) / 2.0, weights / 2.0
