"""Areas and volume integrals of faces, each by the quadrature that suits its surface and its edges."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cadml_plugins.formats.kernel import _geometry, _quadrature
from cadml_plugins.formats.kernel._occt import Shape, kernel_class, kernel_function

_FIXED: tuple[float, ...] = ()
_COARSE, _FINE, _FINEST = (1e-3,), (1e-6,), (1e-8,)
_AREA_ERROR = {"plane": _FIXED} | dict.fromkeys(
    ("cylinder", "cone", "sphere", "torus", "revolution", "extrusion"), _COARSE
)
_VOLUME_ERROR = {"sphere": _COARSE} | dict.fromkeys(
    ("plane", "cylinder", "cone", "torus", "revolution", "extrusion"), _FIXED
)
"""How to integrate over a surface: by quadrature of fixed order, or adaptively until the relative error is
below a bound; ``_FINE`` for areas and ``_FINEST`` for volumes of kinds that are not listed. Each is the
fastest that was right to 1e-6 on parts with elementary surfaces, and to 1e-5 on free-form ones, whose faces
are not long; those that are have integrals of their own. Fixed order is wrong by up to 1e-3 on free-form
surfaces and 1e-4 on spheres. Adaptive integration of a volume stops too early on the others, with moments of
inertia wrong by ten percent on surfaces of revolution, and takes three times as long on a plane. It bounds
the error of the volume only: moments of free-form faces are right to 3e-4.
"""

_Point = kernel_class("gp_Pnt")
_Props = kernel_class("GProp_GProps")
_Domain = kernel_class("BRepGProp_Domain")
_FaceGeometry = kernel_class("BRepGProp_Face")
_AreaIntegral = kernel_class("BRepGProp_Sinert")
_VolumeIntegral = kernel_class("BRepGProp_Vinert")
_KronrodIntegral = kernel_class("BRepGProp_VinertGK")
_as_face = kernel_function("TopoDS", "Face")


class FaceIntegrals:
    """Adds up areas and volume integrals of faces; each face is set up once for both.

    The volume is that of the cones from ``reference`` to every face: the enclosed volume where the faces are
    closed, a formal number where they are not. A reference near the faces avoids the cancellation of large
    cones.
    """

    def __init__(
        self, reference: tuple[float, float, float], budget: _quadrature.Budget, *, plain_edges: bool = False
    ) -> None:
        """Begin with no face; ``plain_edges`` tells that all edges are lines and conics."""
        self._plain_edges = plain_edges
        self._apex, self._budget = reference, budget
        self._reference = _Point(*reference)
        self._volume = _Props(self._reference)
        self.last: Any = None
        """The kernel's integral over the area of the face added last; None where it would be wrong."""
        self._long: list[_quadrature.Integrals] = []
        self.inexact = 0
        """Of how many faces the integrals may be wrong."""

    def add(self, face: Shape, kind: str) -> float:
        """Add a face with a surface of that kind, and return its area in mm².

        Raises:
            Failure: The kernel threw.
        """
        face = _as_face(face)
        geometry, domain = _FaceGeometry(face), _Domain(face)
        if _quadrature.winds(face, geometry, kind):
            area = self._add_long(face, geometry, domain, kind)
            if area is not None:
                return area
        if kind not in _AREA_ERROR:
            return self._add_free_form(face, geometry, domain, kind)
        return self._add(face, geometry, domain, kind)

    def _add_free_form(self, face: Shape, geometry: Any, domain: Any, kind: str) -> float:
        """Add the kernel's adaptive integrals, or those of fixed order when its time is spent."""
        if self._budget.seconds <= 0.0:
            self.inexact += 1
            domain.Init()
            self.last = _AreaIntegral(geometry, domain, self._reference)
            domain.Init()
            self._volume.Add(_VolumeIntegral(geometry, domain, self._reference))
            return float(self.last.Mass())
        start = time.process_time()
        try:
            return self._add(face, geometry, domain, kind)
        finally:
            self._budget.seconds -= time.process_time() - start

    def _add(self, face: Shape, geometry: Any, domain: Any, kind: str) -> float:
        """Add the kernel's integrals; check them where it may take too few points."""
        short = kind == "plane" and self._plain_edges
        long_edge = not short and _quadrature.has_long_edge(geometry, domain)
        domain.Init()  # an iterator over the edges, which each integral exhausts
        self.last = _AreaIntegral(geometry, domain, self._reference, *_AREA_ERROR.get(kind, _FINE))
        area = float(self.last.Mass())
        domain.Init()
        error = _VOLUME_ERROR.get(kind, _FINEST)
        volume = _VolumeIntegral(geometry, domain, self._reference, *error)
        if long_edge and not self._confirmed(geometry, domain, volume.Mass(), area):
            better = self._add_long(face, geometry, domain, kind)
            if better is not None:
                return better
        self._volume.Add(volume)
        return area

    def _confirmed(self, geometry: Any, domain: Any, volume: float, area: float) -> bool:
        domain.Init()
        other = _KronrodIntegral(geometry, domain, self._reference, _quadrature.TOLERANCE, False, False)
        return _quadrature.close(volume, other.Mass(), area)

    def _add_long(self, face: Shape, geometry: Any, domain: Any, kind: str) -> float | None:
        """Add our own integrals and return the area; None where there is no budget for them."""
        found = _quadrature.integrate(face, geometry, domain, kind, self._apex, self._budget)
        if found is None:
            self.inexact += 1
            return None
        self._long.append(found)
        self.last = None
        return found.area

    def volume(self) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        """Return the signed volume, the centroid (3,) and the inertia tensor (3, 3) about it."""
        centre, inertia = self._volume.CentreOfMass(), self._volume.MatrixOfInertia()
        tensor = np.array([[inertia.Value(row, column) for column in (1, 2, 3)] for row in (1, 2, 3)])
        volume, centroid = float(self._volume.Mass()), _geometry.xyz(centre)
        if not self._long:
            return volume, centroid, tensor
        return self._with_long_faces(volume, centroid - self._apex, tensor)

    def _with_long_faces(
        self, volume: float, centroid: NDArray[np.float64], inertia: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        """Add the moments of the long faces to those of the others, about the apex, and return the sum's."""
        first = volume * centroid
        second = np.trace(inertia) / 2.0 * np.eye(3) - inertia + volume * np.outer(centroid, centroid)
        for integrals in self._long:
            volume += integrals.volume
            first = first + integrals.first
            second = second + integrals.second
        centre = first / volume if volume else np.zeros(3)
        second -= volume * np.outer(centre, centre)
        return volume, centre + self._apex, np.trace(second) * np.eye(3) - second
