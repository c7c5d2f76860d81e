"""Faces and edges as geometry: what they are, how large, how far they reach."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cadml_plugins.formats._occt import Shape, kernel_class, kernel_function

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

_FIXED: tuple[float, ...] = ()
_COARSE, _FINE = (1e-3,), (1e-6,)
_AREA_ERROR = {"plane": _FIXED} | dict.fromkeys(
    ("cylinder", "cone", "sphere", "torus", "revolution", "extrusion"), _COARSE
)
_VOLUME_ERROR = {"sphere": _COARSE} | dict.fromkeys(
    ("plane", "cylinder", "cone", "torus", "revolution", "extrusion"), _FIXED
)
"""How to integrate over a surface: by quadrature of fixed order, or adaptively until the relative error
is below a bound; ``_FINE`` where nothing else is said. Chosen by what is right to 1e-6 on real parts and
quickest: fixed order is wrong by up to 1e-3 on free-form surfaces and 1e-4 on spheres; adaptive
integration of a volume stops too early on the others, with moments of inertia wrong by ten percent on
surfaces of revolution, and takes three times as long on a plane."""

_Surface = kernel_class("BRepAdaptor_Surface")
_Curve = kernel_class("BRepAdaptor_Curve")
_Box = kernel_class("Bnd_Box")
_Point = kernel_class("gp_Pnt")
_Props = kernel_class("GProp_GProps")
_Domain = kernel_class("BRepGProp_Domain")
_FaceGeometry = kernel_class("BRepGProp_Face")
_AreaIntegral = kernel_class("BRepGProp_Sinert")
_VolumeIntegral = kernel_class("BRepGProp_Vinert")
_as_face = kernel_function("TopoDS", "Face")
_as_edge = kernel_function("TopoDS", "Edge")
_is_degenerated = kernel_function("BRep_Tool", "Degenerated")
_surface = kernel_function("BRep_Tool", "Surface")
_add_box = kernel_function("BRepBndLib", "Add")
_add_tight_box = kernel_function("BRepBndLib", "AddOptimal")


def has_surface(face: Shape) -> bool:
    """Tell whether the face has exact geometry; one from a tessellated model has facets only."""
    surface = _surface(_as_face(face))
    return surface is not None and not (hasattr(surface, "IsNull") and surface.IsNull())


def surface_kind(face: Shape) -> str:
    """Name the face's surface: ``plane``, ``cylinder``, ... ``other``."""
    return _SURFACES[_Surface(_as_face(face), False).GetType()]


def curve_kind(edge: Shape) -> str | None:
    """Name the edge's curve; None for a point that only closes a face (the pole of a sphere)."""
    edge = _as_edge(edge)
    return None if _is_degenerated(edge) else _CURVES[_Curve(edge).GetType()]


class FaceIntegrals:
    """Adds up areas and volume integrals of faces, each face set up once.

    The volume is that of the cones from ``reference`` to every face: the enclosed volume where the
    faces close, a formal number where they do not. A reference near the faces keeps digits.
    """

    def __init__(self, reference: tuple[float, float, float]) -> None:
        self._reference = _Point(*reference)
        self._volume = _Props(self._reference)

    def add(self, face: Shape, kind: str) -> float:
        """Take in a face with a surface of that kind and return its area in mm².

        Raises:
            Failure: The kernel threw.
        """
        face = _as_face(face)
        geometry, domain = _FaceGeometry(face), _Domain(face)
        area = _AreaIntegral(geometry, domain, self._reference, *_AREA_ERROR.get(kind, _FINE))
        domain.Init()  # the integral has walked it to its end
        error = _VOLUME_ERROR.get(kind, _FINE)
        self._volume.Add(_VolumeIntegral(geometry, domain, self._reference, *error))
        return float(area.Mass())

    def volume(self) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        """Return the signed volume, the centroid (3,) and the inertia tensor (3, 3) about it."""
        centre, inertia = self._volume.CentreOfMass(), self._volume.MatrixOfInertia()
        tensor = np.array([[inertia.Value(row, column) for column in (1, 2, 3)] for row in (1, 2, 3)])
        return self._volume.Mass(), np.array([centre.X(), centre.Y(), centre.Z()]), tensor


def bounds(shape: Shape, *, tight: bool = False) -> Bounds | None:
    """Return an axis-aligned box that holds the shape; None where it has no points.

    Plain boxes are quick and, for free-form and toroidal faces, up to a third too wide; tight ones
    are right to about 1e-7 and cost some milliseconds for such a face. An endless shape reaches to
    1e100 and beyond.

    Raises:
        Failure: The kernel threw.
    """
    box = _Box()
    if tight:
        _add_tight_box(shape, box, True, False)
    else:
        _add_box(shape, box, True)
    if box.IsVoid():
        return None
    box.SetGap(0.0)
    low, high = box.CornerMin(), box.CornerMax()
    return (low.X(), low.Y(), low.Z(), high.X(), high.Y(), high.Z())


def xyz(vector: Any) -> NDArray[np.float64]:
    """Return a kernel point or direction as (3,)."""
    return np.array([vector.X(), vector.Y(), vector.Z()])
