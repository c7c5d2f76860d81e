"""Elementary surfaces in disguise: planes, cylinders, cones, spheres and tori written as something else.

Writers turn a cylinder into a surface of revolution, or everything into B-splines. A part must count
the same faces in whatever format it came. Only the name of the face changes; its geometry stays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cadml_plugins.formats import _geometry
from cadml_plugins.formats._geometry import xyz
from cadml_plugins.formats._occt import Failure, Shape, kernel_class, kernel_function

TOLERANCE = 1e-4
"""Millimetres that a free-form surface may stand off the elementary one that it is taken for."""

FREE_FORM_FACES = 2_000
"""So many faces of a file are looked at, at up to half a millisecond each; later ones keep their kind."""

PARALLEL = 1e-6
"""Sine of the angle up to which two directions are one."""

_Surface = kernel_class("BRepAdaptor_Surface")
_Recognition = kernel_class("ShapeAnalysis_CanonicalRecognition")
_CANDIDATES = tuple(
    (kind, f"Is{kind.title()}", kernel_class(name))
    for kind, name in {
        "plane": "gp_Pln",
        "cylinder": "gp_Cylinder",
        "cone": "gp_Cone",
        "sphere": "gp_Sphere",
    }.items()
)
_LINE, _CIRCLE = kernel_class("GeomAbs_Line"), kernel_class("GeomAbs_Circle")
_as_face = kernel_function("TopoDS", "Face")


class Namer:
    """Names the faces of one file, at most ``FREE_FORM_FACES`` of them with a closer look."""

    def __init__(self) -> None:
        self._left = FREE_FORM_FACES

    def __call__(self, face: Shape, kind: str) -> str:
        """Return the name of an elementary surface where the face is that, else ``kind``."""
        if kind in _geometry.ELEMENTARY or not self._left:
            return kind
        self._left -= 1
        surface = _Surface(_as_face(face), False)
        try:
            if kind == "revolution":
                return _revolved(surface) or kind
            if kind == "extrusion":
                return _extruded(surface) or kind
            return _recognised(face) or kind
        except Failure:
            return kind


def _recognised(face: Shape) -> str | None:
    """Try the elementary surfaces in turn, with the kernel's least squares."""
    recognition = _Recognition(face)
    for kind, method, figure in _CANDIDATES:
        if getattr(recognition, method)(TOLERANCE, figure()):
            return kind
    return None


def _extruded(surface: Any) -> str | None:
    """A line sweeps a plane, a circle along its axis a cylinder."""
    profile, direction = surface.BasisCurve(), xyz(surface.Direction())
    if profile.GetType() == _LINE:
        return "plane"
    if profile.GetType() == _CIRCLE and _parallel(xyz(profile.Circle().Axis().Direction()), direction):
        return "cylinder"
    return None


def _revolved(surface: Any) -> str | None:
    """Tell what a line or a circle sweeps when it is turned about an axis."""
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
    # A slanted line that misses the axis sweeps a hyperboloid.
    common = np.cross(line, axis)
    return "cone" if abs(offset @ common) / np.linalg.norm(common) <= TOLERANCE else None


def _revolved_circle(
    centre: NDArray[np.float64], normal: NDArray[np.float64], axis: NDArray[np.float64]
) -> str | None:
    """The circle must lie in a plane with the axis: a sphere about a point of it, else a torus."""
    if abs(normal @ axis) > PARALLEL or abs(centre @ normal) > TOLERANCE:
        return None
    distance = np.linalg.norm(centre - (centre @ axis) * axis)
    return "sphere" if distance <= TOLERANCE else "torus"


def _parallel(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    return bool(np.linalg.norm(np.cross(first, second)) <= PARALLEL)
