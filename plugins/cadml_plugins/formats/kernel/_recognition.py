"""Recognises elementary surfaces and curves that are written as something else.

Some programs write a cylinder as a surface of revolution, or everything as B-splines. A part must have the
same counts of faces and edges in every format. Only the names change; the geometry stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cadml_plugins.formats.kernel import _geometry, _topology
from cadml_plugins.formats.kernel._geometry import xyz
from cadml_plugins.formats.kernel._occt import Failure, Shape, kernel_class, kernel_function

TOLERANCE = 1e-4
"""Millimetres that a free-form face or edge may deviate from the elementary one that it is counted as."""

FREE_FORM_FACES = 2_000
FREE_FORM_EDGES = 10_000
"""So many of a file are examined, at up to half a millisecond each; later ones keep their kind."""

PARALLEL = 1e-6
"""Sine of the angle up to which two directions are parallel."""

_Surface = kernel_class("BRepAdaptor_Surface")
_Recognition = kernel_class("ShapeAnalysis_CanonicalRecognition")
_SURFACES = {
    "plane": kernel_class("gp_Pln"),
    "cylinder": kernel_class("gp_Cylinder"),
    "cone": kernel_class("gp_Cone"),
    "sphere": kernel_class("gp_Sphere"),
}
_CURVES = {
    "line": kernel_class("gp_Lin"),
    "circle": kernel_class("gp_Circ"),
    "ellipse": kernel_class("gp_Elips"),
}
_LINE, _CIRCLE = kernel_class("GeomAbs_Line"), kernel_class("GeomAbs_Circle")
_as_face = kernel_function("TopoDS", "Face")


class Namer:
    """Names the faces and edges of one file. It examines a bounded number of free-form ones, each once."""

    def __init__(self) -> None:
        self._faces, self._edges = FREE_FORM_FACES, FREE_FORM_EDGES  # how many may still be examined
        self._index = _topology.ShapeIndex()
        self._known: dict[int, str] = {}

    def surface(self, face: Shape, kind: str) -> str:
        """Return the name of the elementary surface that the face is, else ``kind``."""
        if kind in _geometry.ELEMENTARY:
            return kind
        number = self._index.number(face)
        if number not in self._known and self._faces:
            self._faces -= 1
            self._known[number] = self._surface(face, kind)
        return self._known.get(number, kind)

    def _surface(self, face: Shape, kind: str) -> str:
        try:
            if kind == "revolution":
                return _revolved(_Surface(_as_face(face), False)) or kind
            if kind == "extrusion":
                return _extruded(_Surface(_as_face(face), False)) or kind
            return _recognised(face, _SURFACES) or kind
        except Failure:
            return kind

    def curve(self, edge: Shape, kind: str) -> str:
        """Return the name of the elementary curve that the edge is, else ``kind``."""
        if kind in _CURVES:
            return kind
        number = self._index.number(edge)
        if number not in self._known and self._edges:
            self._edges -= 1
            try:
                self._known[number] = _recognised(edge, _CURVES) or kind
            except Failure:
                self._known[number] = kind
        return self._known.get(number, kind)


def _recognised(shape: Shape, figures: Mapping[str, Any]) -> str | None:
    """Fit the figures in turn by the kernel's least squares; return the name of the first that fits."""
    recognition = _Recognition(shape)
    for kind, figure in figures.items():
        if getattr(recognition, f"Is{kind.title()}")(TOLERANCE, figure()):
            return kind
    return None


def _extruded(surface: Any) -> str | None:
    """Return what is extruded: a line makes a plane, a circle along its axis a cylinder."""
    profile, direction = surface.BasisCurve(), xyz(surface.Direction())
    if profile.GetType() == _LINE:
        return "plane"
    if profile.GetType() == _CIRCLE and _parallel(xyz(profile.Circle().Axis().Direction()), direction):
        return "cylinder"
    return None


def _revolved(surface: Any) -> str | None:
    """Return what a line or a circle makes when it is turned about an axis."""
    profile, axis = surface.BasisCurve(), surface.AxeOfRevolution()
    origin, direction = xyz(axis.Location()), xyz(axis.Direction())
    if profile.GetType() == _LINE:
        line = profile.Line()
        return _revolved_line(xyz(line.Location()) - origin, xyz(line.Direction()), direction)
    if profile.GetType() == _CIRCLE:
        circle = profile.Circle()
        normal = xyz(circle.Axis().Direction())
        return _revolved_circle(xyz(circle.Location()) - origin, normal, direction)
    return None


def _revolved_line(
    offset: NDArray[np.float64], line: NDArray[np.float64], axis: NDArray[np.float64]
) -> str | None:
    if _parallel(line, axis):
        return "cylinder"
    if abs(line @ axis) <= PARALLEL:
        return "plane"
    # A slanted line that does not meet the axis makes a hyperboloid.
    common = np.cross(line, axis)
    return "cone" if abs(offset @ common) / np.linalg.norm(common) <= TOLERANCE else None


def _revolved_circle(
    centre: NDArray[np.float64], normal: NDArray[np.float64], axis: NDArray[np.float64]
) -> str | None:
    """Return what a circle in a plane with the axis makes: a sphere if centred on it, else a torus."""
    if abs(normal @ axis) > PARALLEL or abs(centre @ normal) > TOLERANCE:
        return None
    distance = np.linalg.norm(centre - (centre @ axis) * axis)
    return "sphere" if distance <= TOLERANCE else "torus"


def _parallel(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    return bool(np.linalg.norm(np.cross(first, second)) <= PARALLEL)
