"""Faces and edges as geometry: their kinds, areas, volume integrals and boxes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cadml_plugins.formats.kernel import _topology
from cadml_plugins.formats.kernel._occt import Failure, Shape, kernel_class, kernel_function

Bounds = tuple[float, float, float, float, float, float]
"""Minimum x, y, z, maximum x, y, z."""

_SURFACES = {
    kernel_class(f"GeomAbs_{name}"): kind
    for name, kind in {
        "Plane": "plane",
        "Cylinder": "cylinder",
        "Cone": "cone",
        "Sphere": "sphere",
        "Torus": "torus",
        "BezierSurface": "bezier",
        "BSplineSurface": "bspline",
        "SurfaceOfRevolution": "revolution",
        "SurfaceOfExtrusion": "extrusion",
        "OffsetSurface": "offset",
        "OtherSurface": "other",
    }.items()
}
_CURVES = {
    kernel_class(f"GeomAbs_{name}"): kind
    for name, kind in {
        "Line": "line",
        "Circle": "circle",
        "Ellipse": "ellipse",
        "Hyperbola": "hyperbola",
        "Parabola": "parabola",
        "BezierCurve": "bezier",
        "BSplineCurve": "bspline",
        "OffsetCurve": "offset",
        "OtherCurve": "other",
    }.items()
}
ELEMENTARY = frozenset({"plane", "cylinder", "cone", "sphere", "torus"})
"""Surfaces with a closed form."""

_Surface = kernel_class("BRepAdaptor_Surface")
_Curve = kernel_class("BRepAdaptor_Curve")
_Classifier = kernel_class("BRepClass_FaceClassifier")
_Point2d = kernel_class("gp_Pnt2d")
_TORUS, _OUTSIDE = kernel_class("GeomAbs_Torus"), kernel_class("TopAbs_OUT")
_Box = kernel_class("Bnd_Box")
_Point = kernel_class("gp_Pnt")
_as_face = kernel_function("TopoDS", "Face")
_as_edge = kernel_function("TopoDS", "Edge")
_is_degenerated = kernel_function("BRep_Tool", "Degenerated")
_surface = kernel_function("BRep_Tool", "Surface")
_add_box = kernel_function("BRepBndLib", "Add")
_add_tight_box = kernel_function("BRepBndLib", "AddOptimal")


def has_surface(face: Shape) -> bool:
    """Tell whether the face has exact geometry; those of tessellated models have facets only."""
    surface = _surface(_as_face(face))
    return surface is not None and not (hasattr(surface, "IsNull") and surface.IsNull())


def surface_kind(face: Shape) -> str:
    """Return the kind of the face's surface: ``plane``, ``cylinder``, ... ``other``."""
    return _SURFACES[_Surface(_as_face(face), False).GetType()]


def curve_kind(edge: Shape) -> str | None:
    """Return the kind of the edge's curve; None for a degenerate edge (the pole of a sphere).

    An edge without a curve is ``other``.
    """
    edge = _as_edge(edge)
    if _is_degenerated(edge):
        return None
    try:
        return _CURVES[_Curve(edge).GetType()]
    except Failure:
        return "other"


def edge_points(edge: Shape) -> list[tuple[float, float, float]]:
    """Return an edge's first, middle and last point by its parameter; none where it has no finite curve."""
    edge = _as_edge(edge)
    if _is_degenerated(edge):
        return []
    try:
        curve = _Curve(edge)
        first, last = curve.FirstParameter(), curve.LastParameter()
        points = [curve.Value(parameter) for parameter in (first, (first + last) / 2, last)]
    except Failure:
        return []
    found = [(point.X(), point.Y(), point.Z()) for point in points]
    return found if np.isfinite(found).all() else []


def sampled(edge: Shape, most: int) -> NDArray[np.float64]:
    """Return points (n, 3) along an edge: two of a line, ``most`` of a curve; none where it has no curve."""
    edge = _as_edge(edge)
    if _is_degenerated(edge):
        return np.empty((0, 3))
    try:
        curve = _Curve(edge)
        count = 2 if _CURVES[curve.GetType()] == "line" else most
        steps = np.linspace(curve.FirstParameter(), curve.LastParameter(), count).tolist()
        points = np.array([xyz(curve.Value(parameter)) for parameter in steps]).reshape(-1, 3)
    except Failure:
        return np.empty((0, 3))
    return points if np.isfinite(points).all() else np.empty((0, 3))


def quick_bounds(shape: Shape) -> Bounds | None:
    """Return an axis-aligned box that holds the shape; None where it has no points.

    It is exact but for the tolerances of edges where surfaces and curves are simple, and up to a third too
    wide for free-form and toroidal faces. An unbounded shape reaches to 1e100 and beyond.

    Raises:
        Failure: The kernel threw.
    """
    box = _Box()
    _add_box(shape, box, True)
    return _corners(box)


def tight_bounds(shape: Shape) -> Bounds | None:
    """Return the box of a face, edge or vertex right to about 1e-7; None where it has no points.

    Raises:
        Failure: The kernel threw.
    """
    box = _Box()
    if (
        shape.ShapeType() == _topology.FACE
        and has_surface(shape)
        and surface_kind(shape) in ("sphere", "torus")
    ):
        for edge in _topology.distinct(shape, _topology.EDGE):
            _add_tight_box(edge, box, True, False)
        for place in _extreme_points(_as_face(shape)):
            box.Add(place)
    else:
        _add_tight_box(shape, box, True, False)
    return _corners(box)


def _corners(box: Any) -> Bounds | None:
    if box.IsVoid():
        return None
    box.SetGap(0.0)
    low, high = box.CornerMin(), box.CornerMax()
    return (low.X(), low.Y(), low.Z(), high.X(), high.Y(), high.Z())


def _extreme_points(face: Shape) -> Iterator[Any]:
    """Yield the points within a spherical or toroidal face where it may reach further than its edges do.

    There the surface is perpendicular to a coordinate axis. The kernel searches for them numerically, which
    takes ten milliseconds for a torus; a sphere is a torus with a ring of radius 0. With the axis (a, b, c)
    in the frame of the surface, they are at u = atan2(b, a) and opposite, v = ±asin(c) and the supplements.
    """
    surface = _Surface(face, True)
    torus = surface.GetType() == _TORUS
    frame = (surface.Torus() if torus else surface.Sphere()).Position()
    x, y, z = (xyz(axis) for axis in (frame.XDirection(), frame.YDirection(), frame.Direction()))
    first, last = surface.FirstUParameter(), surface.LastUParameter()
    for a, b, c in zip(x, y, z, strict=True):
        # Where the ring is perpendicular to the axis, all u are extreme, and the face may contain only some.
        level = math.hypot(a, b) < 1e-12
        rounds = np.linspace(first, last, 9).tolist() if level else [math.atan2(b, a), math.atan2(-b, -a)]
        v = math.asin(min(max(c, -1.0), 1.0))
        for place in itertools.product(rounds, (v, -v, math.pi - v, math.pi + v)):
            if (inside := _within(face, surface, *place, torus=torus)) is not None:
                yield surface.Value(*inside)


def _within(face: Shape, surface: Any, u: float, v: float, *, torus: bool) -> tuple[float, float] | None:
    """Return the parameters moved into the range of the face; None where they are outside of the face."""
    u = _turned(u, surface.FirstUParameter())
    v = _turned(v, surface.FirstVParameter()) if torus else v
    if u > surface.LastUParameter() or not surface.FirstVParameter() <= v <= surface.LastVParameter():
        return None
    return None if _Classifier(face, _Point2d(u, v), 1e-9).State() == _OUTSIDE else (u, v)


def _turned(angle: float, start: float) -> float:
    """Return the angle moved into the turn that begins at ``start``, which rounding may miss by 1e-12."""
    return start + (angle - start + 1e-12) % (2 * math.pi) - 1e-12


def xyz(vector: Any) -> NDArray[np.float64]:
    """Return a kernel point or direction as (3,)."""
    return np.array([vector.X(), vector.Y(), vector.Z()])
