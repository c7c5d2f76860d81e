"""The outline of a DXF entity: points in world coordinates whose box is the entity's box.

Curves are represented by their extreme points along the axes, which are exact, and by points every two
degrees, so that the outline of a block is right within 0.02 % at whatever angle it is placed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from ezdxf.lldxf.const import DXFError
from ezdxf.math import OCS, BSpline, Vec3
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""float64 (n, 3)."""
Triple = tuple[float, float, float]

_STEP = math.radians(2.0)
"""Between points of a curve. The arc rises above the chord by 1 - cos 1°, or 0.015 % of the radius."""
_QUARTER = math.pi / 2.0
_QUARTER_TURNS = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))
_SAME_ANGLE = 1e-9
"""Angles that differ by less are equal: nobody draws an arc that short."""
_WHOLE_TURN = 1e-4
"""A range that exceeds a whole turn by less is one: writers round two pi, to 6.28319 for instance."""
_FLAT_BULGE = 1e-9
"""A segment with a smaller bulge is a line: its arc rises by half the bulge times its length."""
_MOST_CONTROL_POINTS = 2000
_HIGHEST_DEGREE = 25
"""Of splines that are followed. A damaged file may state any degree, at a cost that grows with it."""
SPLINE_FRAME_POINT = 16
"""Flag of a polyline's vertex that controls its spline and does not lie on it."""


def outline(entity: Any) -> Points:
    """Return points whose box is the entity's box; none where the entity has no place.

    Infinite lines (RAY, XLINE) have their base point, texts and other annotations the points that anchor
    them.
    """
    points = _OUTLINES.get(entity.dxftype(), _anchors)(entity)
    return np.asarray(points, dtype=np.float64).reshape(-1, 3)


def arc_span(start: float, end: float) -> float:
    """Return the angle from start counter-clockwise to end, above 0 and at most a whole turn; radians.

    Equal angles mean the whole curve, and so do angles that are a whole turn apart but for rounding.
    """
    span = (end - start) % math.tau
    whole = span < _SAME_ANGLE or (end - start > math.pi and span < _WHOLE_TURN)
    return math.tau if whole else span


def conic(centre: Triple, major: Triple, minor: Triple, start: float, end: float) -> Points:
    """Return points of the arc ``centre + major cos t + minor sin t`` for t from start to end.

    Angles are radians and run counter-clockwise, as for ``arc_span``.
    """
    span = arc_span(start, end)
    steps = np.arange(math.ceil(start / _STEP), math.floor((start + span) / _STEP) + 1) * _STEP
    # Along an axis, major cos t + minor sin t is extreme at tan t = minor / major, and half a turn later.
    extremes = np.arctan2(minor, major)
    extremes = start + (np.concatenate((extremes, extremes + math.pi)) - start) % math.tau
    t = np.concatenate(([start, start + span], steps, extremes[extremes <= start + span]))
    points: Points = np.asarray(centre) + np.outer(np.cos(t), major) + np.outer(np.sin(t), minor)
    return points


def arc(centre: Triple, radius: float, start: float, end: float) -> Points:
    """Return points of a circular arc in the plane; angles in radians."""
    return conic(centre, (radius, 0.0, 0.0), (0.0, radius, 0.0), start, end)


def arc_box(centre: Triple, radius: float, start: float, end: float) -> tuple[float, ...]:
    """Return the box of ``arc`` without computing its points."""
    x, y, z = centre
    span = arc_span(start, end)
    quarters = range(math.ceil(start / _QUARTER), math.floor((start + span) / _QUARTER) + 1)
    turns = [_QUARTER_TURNS[quarter % 4] for quarter in quarters]
    turns += [(math.cos(angle), math.sin(angle)) for angle in (start, start + span)]
    xs, ys = [x + radius * cosine for cosine, _ in turns], [y + radius * sine for _, sine in turns]
    return min(xs), min(ys), z, max(xs), max(ys), z


def bulged_box(
    vertices: Sequence[tuple[float, float, float]], closed: bool, elevation: float
) -> tuple[float, ...]:
    """Return the box of ``bulged`` without computing its points; empty without vertices."""
    if not vertices:
        return ()
    xs, ys, bulges = (list(column) for column in zip(*vertices, strict=True))
    if any(bulges):
        for one, other, bulge in _segments(vertices, closed):
            x0, y0, _, x1, y1, _ = arc_box(*_bulge_arc(*one, *other, bulge, elevation))
            xs += x0, x1
            ys += y0, y1
    return min(xs), min(ys), elevation, max(xs), max(ys), elevation


def bulged(vertices: Sequence[tuple[float, float, float]], closed: bool, elevation: float) -> Points:
    """Return points of a polyline of (x, y, bulge).

    The bulge is the tangent of a quarter of the angle of the arc to the next vertex.
    """
    parts = [np.array([(x, y, elevation) for x, y, _ in vertices]).reshape(-1, 3)]
    parts += [
        arc(*_bulge_arc(*one, *other, bulge, elevation)) for one, other, bulge in _segments(vertices, closed)
    ]
    return np.concatenate(parts)


def _segments(
    vertices: Sequence[tuple[float, float, float]], closed: bool
) -> Iterator[tuple[tuple[float, float], tuple[float, float], float]]:
    """Yield start, end and bulge of the segments that are arcs."""
    following = [*vertices[1:], vertices[0]] if closed and vertices else vertices[1:]
    for (x0, y0, bulge), (x1, y1, _) in zip(vertices, following, strict=False):
        if abs(bulge) > _FLAT_BULGE and (x0, y0) != (x1, y1):
            yield (x0, y0), (x1, y1), bulge


def _bulge_arc(
    x0: float, y0: float, x1: float, y1: float, bulge: float, z: float
) -> tuple[Triple, float, float, float]:
    """Return centre, radius, start and end angle of the arc from one vertex to the next."""
    # The centre lies on the perpendicular bisector; the offset is in units of the chord.
    offset = (1.0 - bulge * bulge) / (4.0 * bulge)
    cx = (x0 + x1) / 2.0 - (y1 - y0) * offset
    cy = (y0 + y1) / 2.0 + (x1 - x0) * offset
    # A clockwise arc is the same from the other end. Its angle follows from the bulge: the difference of two
    # directions could not be told from a whole turn where the arc is short.
    from_angle = math.atan2(y0 - cy, x0 - cx) if bulge > 0.0 else math.atan2(y1 - cy, x1 - cx)
    return (cx, cy, z), math.hypot(x0 - cx, y0 - cy), from_angle, from_angle + 4.0 * math.atan(abs(bulge))


def _to_world(points: Points, entity: Any) -> Points:
    """Transform points of the entity's own plane into world coordinates (arbitrary axis algorithm)."""
    extrusion = Vec3(entity.dxf.get("extrusion", (0, 0, 1)))
    if extrusion.is_null or extrusion.isclose((0, 0, 1)):
        return points
    axes = OCS(extrusion)
    turned: Points = points @ np.array([axes.ux.xyz, axes.uy.xyz, axes.uz.xyz])
    return turned


def _named(entity: Any, *names: str) -> list[Triple]:
    values = (entity.dxf.get(name) for name in names)
    return [Vec3(value).xyz for value in values if value is not None]


def _line(entity: Any) -> list[Triple]:
    return [Vec3(entity.dxf.start).xyz, Vec3(entity.dxf.end).xyz]


def _circle(entity: Any) -> Points:
    radius = abs(entity.dxf.radius)
    return _to_world(arc(Vec3(entity.dxf.center).xyz, radius, 0.0, 0.0), entity)


def _arc(entity: Any) -> Points:
    start, end = math.radians(entity.dxf.start_angle), math.radians(entity.dxf.end_angle)
    return _to_world(arc(Vec3(entity.dxf.center).xyz, abs(entity.dxf.radius), start, end), entity)


def _ellipse(entity: Any) -> Points:
    dxf = entity.dxf
    return conic(
        Vec3(dxf.center).xyz, Vec3(dxf.major_axis).xyz, entity.minor_axis.xyz, dxf.start_param, dxf.end_param
    )


def _spline(entity: Any) -> Points | list[Triple]:
    """Return points of the curve, or its control points where it is too long or inconsistent."""
    return _followed(entity, entity.dxf.degree)


def _followed(spline: Any, degree: int) -> Points | list[Triple]:
    if 2 <= len(spline.control_points) <= _MOST_CONTROL_POINTS and degree <= _HIGHEST_DEGREE:
        with suppress(ValueError, ArithmeticError, DXFError):
            return _along(spline.construction_tool())
    return [Vec3(point).xyz for point in (*spline.control_points, *spline.fit_points)]


def _along(curve: BSpline) -> Points:
    """Return points of a spline: several between its knots, and more where it reaches furthest.

    Points at equal steps of the parameter would miss the bends of a spline whose knots are not uniform. The
    first and last knots, one fewer than the order, only shape its ends: where they are not repeated, as those
    of a periodic spline, what they would add is no part of the curve.
    """
    knots = np.unique(curve.knots()[curve.order - 1 : curve.count + 1])
    steps = np.linspace(0.0, 1.0, max(8, 64 // max(1, len(knots) - 1)), endpoint=False)
    places = np.append((knots[:-1, None] + np.diff(knots)[:, None] * steps).ravel(), knots[-1])
    points = _points(curve, places)
    furthest = {*points.argmin(axis=0).tolist(), *points.argmax(axis=0).tolist()}
    near = [np.linspace(places[max(k - 1, 0)], places[min(k + 1, len(places) - 1)], 33) for k in furthest]
    return np.concatenate((points, _points(curve, np.concatenate(near))))


def _points(curve: BSpline, places: NDArray[np.float64]) -> Points:
    return np.array([point.xyz for point in curve.points(places.tolist())])


def _lwpolyline(entity: Any) -> Points:
    vertices = [(x, y, bulge) for x, y, bulge in entity.get_points("xyb")]
    return _to_world(bulged(vertices, entity.closed, float(entity.dxf.elevation)), entity)


def _polyline(entity: Any) -> Points | list[Triple]:
    vertices = [v for v in entity.vertices if v.dxf.hasattr("location") and not v.is_face_record]
    vertices = [v for v in vertices if not v.dxf.flags & SPLINE_FRAME_POINT]
    if not entity.is_2d_polyline:
        return [Vec3(v.dxf.location).xyz for v in vertices]
    flat = [(v.dxf.location.x, v.dxf.location.y, v.dxf.get("bulge", 0.0)) for v in vertices]
    elevation = Vec3(entity.dxf.get("elevation", (0, 0, 0))).z
    return _to_world(bulged(flat, entity.is_closed, elevation), entity)


def _face(entity: Any) -> list[Triple]:
    return _named(entity, "vtx0", "vtx1", "vtx2", "vtx3")


def _solid(entity: Any) -> Points:
    return _to_world(np.array(_face(entity)).reshape(-1, 3), entity)


def _mesh(entity: Any) -> list[Triple]:
    return [Vec3(point).xyz for point in entity.vertices]


def _mline(entity: Any) -> Points | list[Triple]:
    """Return points of the lines and caps of a multiline, or those that it follows where they are damaged."""
    with suppress(ValueError, ArithmeticError, LookupError, TypeError, AttributeError, DXFError):
        parts = [outline(part) for part in entity.virtual_entities()]
        if parts:
            return np.concatenate(parts)
    return [Vec3(vertex.location).xyz for vertex in entity.vertices]


def _leader(entity: Any) -> list[Triple]:
    return [Vec3(vertex).xyz for vertex in entity.vertices]


def _hatch(entity: Any) -> Points:
    elevation = Vec3(entity.dxf.get("elevation", (0, 0, 0))).z
    parts = [part for path in entity.paths for part in _boundary(path, elevation)]
    return _to_world(np.concatenate(parts) if parts else np.empty((0, 3)), entity)


def _boundary(path: Any, z: float) -> Iterator[Points]:
    if hasattr(path, "vertices"):
        yield bulged([tuple(vertex) for vertex in path.vertices], bool(path.is_closed), z)
        return
    for edge in path.edges:
        yield np.array([(x, y, z) for x, y in _edge_points(edge)]).reshape(-1, 3)


def _edge_points(edge: Any) -> Iterable[tuple[float, float]]:
    kind = type(edge).__name__
    if kind == "LineEdge":
        return [edge.start, edge.end]
    if kind == "ArcEdge":
        start, end = math.radians(edge.start_angle), math.radians(edge.end_angle)
        x, y = edge.center
        return _flat(arc((x, y, 0.0), abs(edge.radius), start, end))
    if kind == "EllipseEdge":
        (x, y), (mx, my) = edge.center, edge.major_axis
        minor = (-my * edge.ratio, mx * edge.ratio, 0.0)
        # The parameters of an edge are reduced to one turn, so only its angles tell a whole one.
        whole = arc_span(math.radians(edge.start_angle), math.radians(edge.end_angle)) == math.tau
        start, end = (0.0, 0.0) if whole else (edge.start_param, edge.end_param)
        return _flat(conic((x, y, 0.0), (mx, my, 0.0), minor, start, end))
    return _flat(_followed(edge, edge.degree))


def _flat(points: Points | list[Triple]) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y, _ in points]


def _anchors(entity: Any) -> list[Triple]:
    found = _named(entity, *(name for name in _ANCHORS if entity.dxf.is_supported(name)))
    return found[:1]


def _dimension(entity: Any) -> list[Triple]:
    names = ("defpoint", "defpoint2", "defpoint3", "defpoint4")
    return _named(entity, *(name for name in names if entity.dxf.is_supported(name)))


_ANCHORS = ("insert", "location", "center", "start", "defpoint", "vtx0")

_OUTLINES: dict[str, Callable[[Any], Points | list[Triple]]] = {
    "LINE": _line,
    "CIRCLE": _circle,
    "ARC": _arc,
    "ELLIPSE": _ellipse,
    "SPLINE": _spline,
    "HELIX": _spline,
    "LWPOLYLINE": _lwpolyline,
    "POLYLINE": _polyline,
    "3DFACE": _face,
    "SOLID": _solid,
    "TRACE": _solid,
    "MESH": _mesh,
    "MLINE": _mline,
    "LEADER": _leader,
    "HATCH": _hatch,
    "MPOLYGON": _hatch,
    "DIMENSION": _dimension,
    "ARC_DIMENSION": _dimension,
    "LARGE_RADIAL_DIMENSION": _dimension,
}
