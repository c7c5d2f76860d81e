"""Faces and edges of B-reps as columns: kinds, sizes, curvature, convexity and which faces meet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cadml_core import CURVE_KINDS, SURFACE_KINDS, Boundary
from cadml_plugins.formats.kernel import _geometry, _topology
from cadml_plugins.formats.kernel._occt import Failure, Shape, kernel_class, kernel_function
from cadml_plugins.formats.kernel._recognition import Namer

MOST_FACES = 3_000
MOST_EDGES = 10_000
"""A file with more, repeated bodies counted each time, gets no columns: an edge takes some 30 µs."""

_Surface = kernel_class("BRepAdaptor_Surface")
_Curve = kernel_class("BRepAdaptor_Curve")
_PlaneCurve = kernel_class("BRepAdaptor_Curve2d")
_Point, _Vector = kernel_class("gp_Pnt"), kernel_class("gp_Vec")
_PLANE, _CYLINDER, _CONE, _SPHERE, _TORUS = (
    kernel_class(f"GeomAbs_{name}") for name in ("Plane", "Cylinder", "Cone", "Sphere", "Torus")
)
_LINE, _CIRCLE = kernel_class("GeomAbs_Line"), kernel_class("GeomAbs_Circle")
_length = kernel_function("GCPnts_AbscissaPoint", "Length")
_as_face = kernel_function("TopoDS", "Face")
_as_edge = kernel_function("TopoDS", "Edge")

_SURFACE_CODES = {name: code for code, name in enumerate(SURFACE_KINDS)}
_CURVE_CODES = {name: code for code, name in enumerate(CURVE_KINDS)}
Triple = tuple[float, float, float]


@dataclass(slots=True)
class Columns:
    """The rows of one body, gathered face by face."""

    kinds: list[int] = field(default_factory=list)
    areas: list[float] = field(default_factory=list)
    radii: list[float] = field(default_factory=list)
    concave: list[bool] = field(default_factory=list)
    wires: list[int] = field(default_factory=list)
    edge_kinds: list[int] = field(default_factory=list)
    lengths: list[float] = field(default_factory=list)
    angles: list[float] = field(default_factory=list)
    faces: list[tuple[int, int]] = field(default_factory=list)
    vertices: int = 0


def collect(faces: Sequence[tuple[Shape, float]], namer: Namer) -> Columns | None:
    """Describe the faces of one body and their edges; None where there are too many, or the kernel fails.

    Args:
        faces: With exact surfaces, and their areas in mm²; 0 where one could not be measured.
        namer: Names them as it has named them before.
    """
    if len(faces) > MOST_FACES:
        return None
    try:
        return _columns(faces, namer)
    except Failure:
        return None


def _columns(faces: Sequence[tuple[Shape, float]], namer: Namer) -> Columns | None:
    columns, meeting = Columns(), _Meeting()
    corners = _topology.ShapeIndex()
    for number, (face, area) in enumerate(faces):
        surface = _Surface(_as_face(face), False)
        columns.kinds.append(_SURFACE_CODES[namer.surface(face, _geometry.surface_kind(face))])
        columns.areas.append(area)
        radius, concave = _curvature(surface, _topology.is_reversed(face))
        columns.radii.append(radius)
        columns.concave.append(concave)
        columns.wires.append(len(_topology.explore(face, _topology.WIRE)))
        meeting.add(number, face, surface)
        for vertex in _topology.explore(face, _topology.VERTEX):
            columns.vertices = max(columns.vertices, corners.number(vertex))
    if len(meeting.edges) > MOST_EDGES:
        return None
    for uses in meeting.edges.values():
        _add_edge(columns, uses, namer)
    return columns


def _curvature(surface: Any, turned: bool) -> tuple[float, bool]:
    """Return the radius of an elementary surface, 0 for others, and whether the material is outside."""
    kind = surface.GetType()
    if kind == _CYLINDER:
        figure = surface.Cylinder()
        radius = figure.Radius()
    elif kind == _CONE:
        figure, radius = surface.Cone(), 0.0
    elif kind == _SPHERE:
        figure = surface.Sphere()
        radius = figure.Radius()
    elif kind == _TORUS:
        figure = surface.Torus()
        radius = figure.MinorRadius()
    else:
        return 0.0, False
    # The normals of a surface in a left-handed frame point to its axis.
    return radius, turned == bool(figure.Position().Direct())


@dataclass(slots=True)
class _Use:
    """One side of an edge: the face, the outward normal in the middle, and the edge as the face runs it."""

    face: int
    edge: Shape
    normal: Triple | None


class _Meeting:
    """The uses of each edge by faces."""

    def __init__(self) -> None:
        self._index = _topology.ShapeIndex()
        self.edges: dict[int, list[_Use]] = {}

    def add(self, number: int, face: Shape, surface: Any) -> None:
        """Add every edge of a face."""
        turned = _topology.is_reversed(face)
        flat = _normal(surface, 0.0, 0.0, turned) if surface.GetType() == _PLANE else None
        for edge in _topology.explore(face, _topology.EDGE):
            if len(self.edges) > MOST_EDGES:
                return
            normal = flat or _normal_at_middle(surface, face, edge, turned)
            self.edges.setdefault(self._index.number(edge), []).append(_Use(number, edge, normal))


def _normal_at_middle(surface: Any, face: Shape, edge: Shape, turned: bool) -> Triple | None:
    try:
        curve = _PlaneCurve(_as_edge(edge), _as_face(face))
        place = curve.Value((curve.FirstParameter() + curve.LastParameter()) / 2)
        return _normal(surface, place.X(), place.Y(), turned)
    except Failure:
        return None


def _normal(surface: Any, u: float, v: float, turned: bool) -> Triple | None:
    """Return the unit normal, outwards; None where the surface has none (an apex)."""
    place, along_u, along_v = _Point(), _Vector(), _Vector()
    surface.D1(u, v, place, along_u, along_v)
    x, y, z = _cross(_parts(along_u), _parts(along_v))
    size = math.sqrt(x * x + y * y + z * z)
    if not 1e-100 < size < math.inf:
        return None
    size = -size if turned else size
    return (x / size, y / size, z / size)


def _add_edge(columns: Columns, uses: Sequence[_Use], namer: Namer) -> None:
    edge = uses[0].edge
    kind = _geometry.curve_kind(edge)
    if kind is None:
        return
    try:
        length, tangent = _along(edge)
    except Failure:
        length, tangent = 0.0, None
    columns.edge_kinds.append(_CURVE_CODES[namer.curve(edge, kind)])
    columns.lengths.append(length if math.isfinite(length) else 0.0)
    columns.angles.append(_angle(uses, tangent) if tangent else math.nan)
    columns.faces.append((uses[0].face, uses[1].face if len(uses) > 1 else -1))


def _along(edge: Shape) -> tuple[float, Triple]:
    """Return an edge's length and its tangent in the middle, in the direction in which its face runs it."""
    curve = _Curve(_as_edge(edge))
    first, last = curve.FirstParameter(), curve.LastParameter()
    place, tangent = _Point(), _Vector()
    curve.D1((first + last) / 2, place, tangent)
    x, y, z = _parts(tangent)
    if curve.GetType() in (_LINE, _CIRCLE):
        length = math.sqrt(x * x + y * y + z * z) * (last - first)
    else:
        length = float(_length(curve))
    return length, (-x, -y, -z) if _topology.is_reversed(edge) else (x, y, z)


def _angle(uses: Sequence[_Use], tangent: Triple) -> float:
    """Return the signed angle between the normals on both sides; NaN where it is not one of two sides."""
    if len(uses) != 2 or uses[0].normal is None or uses[1].normal is None:
        return math.nan
    one, other = uses[0].normal, uses[1].normal
    size = math.sqrt(_dot(tangent, tangent))
    sine = _dot(_cross(one, other), tangent) / size if size > 0.0 else 0.0
    return math.atan2(sine, _dot(one, other))


def _parts(vector: Any) -> Triple:
    return (vector.X(), vector.Y(), vector.Z())


def _cross(a: Triple, b: Triple) -> Triple:
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def _dot(a: Triple, b: Triple) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def join(bodies: Sequence[tuple[Columns | None, int]]) -> Boundary | None:
    """Put bodies together, each as often as it is placed; None where there are none or too many faces."""
    known = [(columns, times) for columns, times in bodies if columns is not None]
    faces = sum(len(columns.kinds) * times for columns, times in known)
    edges = sum(len(columns.lengths) * times for columns, times in known)
    if len(known) < len(bodies) or not 0 < faces <= MOST_FACES or edges > MOST_EDGES:
        return None
    placed = [columns for columns, times in known for _ in range(times)]
    offsets = np.cumsum([0, *(len(columns.kinds) for columns in placed)])
    pairs = [
        np.where(pair >= 0, pair + offset, -1)
        for columns, offset in zip(placed, offsets[:-1], strict=True)
        if len(pair := np.array(columns.faces, np.int64).reshape(-1, 2))
    ]

    def column(name: str, kind: Any) -> Any:
        return np.array([value for columns in placed for value in getattr(columns, name)], kind)

    return Boundary(
        face_kinds=column("kinds", np.int64),
        face_areas=column("areas", np.float64),
        face_radii=column("radii", np.float64),
        face_concave=column("concave", np.bool_),
        face_wires=column("wires", np.int64),
        edge_kinds=column("edge_kinds", np.int64),
        edge_lengths=column("lengths", np.float64),
        edge_angles=column("angles", np.float64),
        edge_faces=np.concatenate(pairs) if pairs else np.empty((0, 2), np.int64),
        vertices=sum(columns.vertices for columns in placed),
    )
