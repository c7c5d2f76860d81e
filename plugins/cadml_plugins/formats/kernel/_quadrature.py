"""Area and volume integrals of faces that the kernel integrates wrongly: long and winding ones.

The kernel takes a fixed number of points along an edge, up to 61, however long it is. The edge of a thread
that winds around a cylinder forty times, or a spiral of a thousand spans, needs more; its adaptive integrals
stop too early on these, ten percent off and more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cadml_plugins.formats.kernel._occt import kernel_class

Array = NDArray[np.floating[Any]]

MOST_ORDER = 61
"""The kernel's largest number of points along an edge. It asks for more where it knows that it needs them,
and then uses these."""
SPAN_ORDER = 4
"""Points that a span of a spline needs, at least."""
TOLERANCE = 1e-5
"""Relative error at which refinement ends: of the area, and of the volume of the cone to a point at a
distance of the face's own size."""
MOST_POINTS = 300_000
"""So many points of the surfaces of a file are evaluated, at some 3 µs each."""
MOST_TURNS = 100_000
"""No face winds around an axis more often, unless its file is damaged."""
MOST_SECONDS = 3.0
"""CPU time that the kernel's adaptive integrals over the free-form faces of a file may take."""

_COARSE, _FINE = 3, 5
"""Points along an interval of an edge; the difference of the two rules gives the error."""
_ACROSS = {"plane": 3, "cylinder": 3, "cone": 3, "extrusion": 3, "sphere": 12, "torus": 16}
"""Points across the face; three are exact where the surface is linear in its second parameter."""
_ROUND = ("cylinder", "cone", "sphere", "torus", "revolution")
_TURN = 2.0 * math.pi * (1.0 + 1e-6)
"""The longest range of the angle of a round face that winds around its axis once."""
_ACROSS_SPAN = 8
"""Points across each span of other surfaces."""
_Surface = kernel_class("BRepAdaptor_Surface")
_BSPLINE = kernel_class("GeomAbs_BSplineCurve")
_Point2d, _Vector2d = kernel_class("gp_Pnt2d"), kernel_class("gp_Vec2d")
_Point, _Vector = kernel_class("gp_Pnt"), kernel_class("gp_Vec")
_Reals = kernel_class("TColStd_Array1OfReal", "collections:Array1_double")


class Integrals(NamedTuple):
    """Integrals over a face, the volume's of the cone from a reference point."""

    area: float
    volume: float
    first: Array
    """(3,), first moments about the reference point."""
    second: Array
    """(3, 3), second moments about it."""


class Budget:
    """How many points may still be evaluated for a file, and how long the kernel may still integrate."""

    def __init__(self, points: int = MOST_POINTS, seconds: float = MOST_SECONDS) -> None:
        self.left = points
        self.seconds = seconds


def winds(face: Any, geometry: Any, kind: str) -> bool:
    """Tell whether a face winds around an axis more than once, or is swept along a long curve.

    True as well where its bounds are no numbers, so that nobody believes the kernel's integrals.
    """
    if kind == "plane":
        return False
    first, last, _, _ = geometry.Bounds()
    if kind in _ROUND:
        return not last - first <= _TURN
    period, knots = _first_parameter(face, kind)
    swept = kind == "extrusion" and len(knots) * SPAN_ORDER > MOST_ORDER
    return bool(swept or not last - first <= period * (1.0 + 1e-6))


def has_long_edge(geometry: Any, domain: Any) -> bool:
    """Tell whether the kernel takes fewer points along an edge of a face than it needs."""
    return any(geometry.IntegrationOrder() > MOST_ORDER for _ in _edges(geometry, domain))


def close(volume: float, other: float, area: float) -> bool:
    """Tell whether two volumes of the cone to a face of that area are the same but for rounding."""
    return bool(abs(volume - other) <= TOLERANCE * (abs(area) * math.sqrt(abs(area)) + abs(volume)))


def _first_parameter(face: Any, kind: str) -> tuple[float, Array]:
    """Return the period of a surface in u, and the values of u between which it is smooth and short."""
    if kind in _ROUND:
        return 2.0 * math.pi, np.arange(4) * math.pi / 2.0
    knots: Array = np.empty(0)
    surface = _Surface(face, False)
    if kind == "bspline":
        knots = _reals(surface.BSpline().UKnots())
    elif kind == "extrusion" and (curve := surface.BasisCurve()).GetType() == _BSPLINE:
        knots = _reals(curve.BSpline().Knots())
    return surface.UPeriod() if surface.IsUPeriodic() else math.inf, knots


def _reals(values: Any) -> Array:
    return np.array([values.Value(index) for index in range(values.Lower(), values.Upper() + 1)])


def integrate(
    face: Any, geometry: Any, domain: Any, kind: str, reference: tuple[float, float, float], budget: Budget
) -> Integrals | None:
    """Integrate over a face by Green's theorem: along its edges, and from their points across the face.

    Args:
        face: The face itself.
        geometry: The face as the kernel's ``BRepGProp_Face``.
        domain: Its edges as the kernel's ``BRepGProp_Domain``.
        kind: Of its surface.
        reference: The apex of the cones whose volumes are added up.
        budget: What may be spent.

    Returns:
        The integrals, None where their error is above ``TOLERANCE`` when the budget is spent.
    """
    bounds = geometry.Bounds()
    if not all(map(math.isfinite, bounds)):
        return None
    work = _Face(face, geometry, domain, kind, reference, budget)
    parts, converged = 1, False
    while not converged:
        sums, error = work.integrate(parts)
        if budget.left < 0:
            return None
        converged = error[0] <= TOLERANCE * abs(sums[0]) and close(sums[1], sums[1] + error[1], sums[0])
        parts *= 2
    second = np.zeros((3, 3))
    second[np.triu_indices(3)] = sums[5:]
    second += np.triu(second, 1).T
    return Integrals(abs(float(sums[0])), float(sums[1]), sums[2:5], second)


def _edges(geometry: Any, domain: Any) -> Iterator[None]:
    """Load one edge of the face after the other."""
    domain.Init()
    while domain.More():
        if geometry.Load(domain.Value()):
            yield
        domain.Next()


class _Face:
    """A face to integrate over."""

    def __init__(
        self,
        face: Any,
        geometry: Any,
        domain: Any,
        kind: str,
        reference: tuple[float, float, float],
        budget: Budget,
    ) -> None:
        self._geometry, self._domain, self._budget = geometry, domain, budget
        self._reference = np.array(reference)
        u0, _, v0, _ = geometry.Bounds()
        marks = self._marks(face, kind)
        # Across the face in the parameter with fewer spans: 0 for u, 1 for v.
        self._inner = 0 if len(marks[0]) < len(marks[1]) else 1
        self._start = (u0, v0)[self._inner]
        self._outer_marks = marks[1 - self._inner]
        self._across = _ACROSS.get(kind, _ACROSS_SPAN * (len(marks[self._inner]) + 1))

    def integrate(self, parts: int) -> tuple[Array, Array]:
        """Integrate with every interval of the edges divided into so many parts; return the error too.

        Both have eleven numbers: area, volume, first and second moments. Those of a face that is too large
        for the budget are incomplete.
        """
        coarse, fine = np.zeros(11), np.zeros(11)
        for _ in _edges(self._geometry, self._domain):
            bounds = self._intervals(parts)
            self._budget.left -= len(bounds) * (_COARSE * self._across + _FINE * (self._across + 2))
            if self._budget.left < 0:
                break
            coarse += self._along(bounds, _COARSE, self._across)
            fine += self._along(bounds, _FINE, self._across + 2)
        return fine, np.abs(fine - coarse)

    def _marks(self, face: Any, kind: str) -> tuple[Array, Array]:
        """Return the values of u and of v within the face between which its surface is smooth and short."""
        u0, u1, v0, v1 = self._geometry.Bounds()
        period, knots = _first_parameter(face, kind) if kind != "plane" else (math.inf, np.empty(0))
        if math.isfinite(period) and u1 - u0 < MOST_TURNS * period:
            turns = np.arange(math.floor(u0 / period) - 1, math.ceil(u1 / period) + 1)
            knots = (knots + period * turns[:, None]).ravel()
        knots = np.unique(knots[(knots > u0) & (knots < u1)])
        return knots, _reals(self._geometry.GetTKnots(v0, v1))[1:-1]

    def _intervals(self, parts: int) -> Array:
        """Return the parameters of the loaded edge where it or the surface is less smooth."""
        knots = _Reals(1, self._geometry.LIntSubs() + 1)
        self._geometry.LKnots(knots)
        # The knots are those of the whole curve, of which the edge may be a part.
        ends = np.array([self._geometry.FirstParameter(), self._geometry.LastParameter()])
        bounds = np.unique(np.concatenate((ends, np.clip(_reals(knots), *ends))))
        outer = 1 - self._inner
        places = np.array([self._edge_point(bound)[outer] for bound in bounds.tolist()])
        crossings = [bounds]
        for start, end, here, there in zip(bounds, bounds[1:], places, places[1:], strict=False):
            low, high = min(here, there), max(here, there)
            marks = self._outer_marks[(self._outer_marks > low) & (self._outer_marks < high)]
            # Exact where the edge is a straight line in the parameters, as long ones are.
            crossings.append(start + (marks - here) / (there - here or 1.0) * (end - start))
        found = np.unique(np.concatenate(crossings))
        steps = np.arange(parts) / parts
        return np.append((found[:-1, None] + np.diff(found)[:, None] * steps).ravel(), found[-1])

    def _edge_point(self, parameter: float) -> tuple[float, float, float, float]:
        """Return u, v and their derivatives at a parameter of the loaded edge."""
        place, slope = _Point2d(), _Vector2d()
        self._geometry.D12d(parameter, place, slope)
        return (*place.Coord(), *slope.Coord())

    def _along(self, bounds: Array, order: int, across: int) -> Array:
        """Return the eleven integrals along the loaded edge: area, volume, first and second moments."""
        nodes, weights = np.polynomial.legendre.leggauss(order)
        half = np.diff(bounds) / 2.0
        parameters = ((bounds[:-1] + half)[:, None] + half[:, None] * nodes).ravel()
        along = (half[:, None] * weights).ravel()
        edge = np.array([self._edge_point(parameter) for parameter in parameters.tolist()])
        # Counter-clockwise: ∬ f du dv = ∮ (∫ f du) dv = -∮ (∫ f dv) du.
        along *= edge[:, 3] if self._inner == 0 else -edge[:, 2]
        nodes, weights = np.polynomial.legendre.leggauss(across)
        reach = (edge[:, self._inner] - self._start) / 2.0
        inner = self._start + reach[:, None] * (1.0 + nodes)
        outer = np.broadcast_to(edge[:, [1 - self._inner]], inner.shape)
        u, v = (inner, outer) if self._inner == 0 else (outer, inner)
        places, normals = self._surface(u.ravel(), v.ravel())
        return self._moments(places, normals, (along[:, None] * reach[:, None] * weights).ravel())

    def _surface(self, u: Array, v: Array) -> tuple[Array, Array]:
        """Return the points, about the reference, and the normals, as long as the area per parameter area."""
        place, normal = _Point(), _Vector()
        numbers: list[float] = []
        for one, other in zip(u.tolist(), v.tolist(), strict=True):
            self._geometry.Normal(one, other, place, normal)
            numbers += (*place.Coord(), *normal.Coord())
        table = np.array(numbers, np.float64).reshape(-1, 6)
        return table[:, :3] - self._reference, table[:, 3:]

    @staticmethod
    def _moments(places: Array, normals: Array, weights: Array) -> Array:
        """Add up, by the divergence theorem: a cone with height h and base dA holds h dA/3, and so on."""
        height = np.einsum("ij,ij->i", places, normals) * weights
        rows, columns = np.triu_indices(3)
        return np.array(
            [
                np.linalg.norm(normals, axis=1) @ weights,
                height.sum() / 3.0,
                *(height @ places / 4.0),
                *(height @ (places[:, rows] * places[:, columns]) / 5.0),
            ]
        )
