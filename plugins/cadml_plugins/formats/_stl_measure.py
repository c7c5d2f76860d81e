"""Area, volume, moments and orientation of facets, summed chunk by chunk in one pass."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cadml_core.document import BoundingBox, MassProperties

_AXIS_COSINE = math.cos(math.radians(1.0))
_AXIS_SINE = math.sin(math.radians(1.0))
_COLLINEAR = 1e-12
"""A facet is degenerate where the sine of its angle falls below this."""

ORIENTATIONS = (
    *("+x", "-x", "+y", "-y", "+z", "-z"),
    *("along x", "along y", "along z"),
    "oblique",
    "degenerate",
)
"""Where a facet looks: along an axis within one degree; else, square to an axis within one degree,
it runs along that axis (the wall of a bore or a chamfer); else it is oblique. Quarter turns of the
part permute the classes, so that their frequencies stay."""
_OBLIQUE, _DEGENERATE = 9, 10


class FacetMeasures:
    """The running sums over the facets of one mesh.

    Integrals are taken over the tetrahedra that the facets span with the first corner, which keeps
    the numbers small for parts far from the origin: with a, b, c the corners of a facet relative to
    it, d = a · (b × c) and s = a + b + c, a tetrahedron has the volume d/6, the first moment d s/24
    and the second moment d (a aᵀ + b bᵀ + c cᵀ + s sᵀ)/120 (the divergence theorem on simplices;
    Tonon 2004, "Explicit exact formulas for the 3-D tetrahedron inertia tensor").
    """

    def __init__(self) -> None:
        self.facets = 0
        self._origin: NDArray[np.float64] | None = None
        self._low = np.full(3, np.inf)
        self._high = np.full(3, -np.inf)
        self._area = 0.0
        self._volume = 0.0
        self._first = np.zeros(3)
        self._second = np.zeros((3, 3))
        self._orientations = np.zeros(len(ORIENTATIONS), dtype=np.int64)

    def add(self, corners: NDArray[np.floating]) -> None:
        """Add facets: (m, 3, 3), facet, corner, coordinate; m > 0."""
        columns = np.array(corners.reshape(-1, 9).T, dtype=np.float64, order="C").reshape(3, 3, -1)
        self.facets += columns.shape[2]
        np.minimum(self._low, columns.min(axis=(0, 2)), out=self._low)
        np.maximum(self._high, columns.max(axis=(0, 2)), out=self._high)
        if self._origin is None:
            self._origin = columns[0, :, 0].copy()
        columns -= self._origin[:, None]
        self._add_integrals(columns)

    def _add_integrals(self, columns: NDArray[np.float64]) -> None:
        a, b, c = columns
        u, v = b - a, c - a
        normal = np.stack((u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]))
        double_area = np.sqrt(np.einsum("im,im->m", normal, normal))
        sides = np.sqrt(np.einsum("im,im->m", u, u) * np.einsum("im,im->m", v, v))
        self._area += 0.5 * float(double_area.sum())
        self._count_orientations(normal, double_area, double_area <= _COLLINEAR * sides)
        determinant = np.einsum("im,im->m", a, normal)
        total = a + b + c
        self._volume += float(determinant.sum()) / 6.0
        self._first += total @ determinant / 24.0
        for points in (a, b, c, total):
            self._second += (points * determinant) @ points.T / 120.0

    def _count_orientations(
        self, normal: NDArray[np.float64], length: NDArray[np.float64], degenerate: NDArray[np.bool_]
    ) -> None:
        kind = np.full(length.shape, _OBLIQUE, dtype=np.uint8)
        near, far = _AXIS_SINE * length, _AXIS_COSINE * length
        for axis in range(3):
            kind[np.abs(normal[axis]) <= near] = 6 + axis
        for axis in range(3):
            kind[normal[axis] >= far] = 2 * axis
            kind[normal[axis] <= -far] = 2 * axis + 1
        kind[degenerate] = _DEGENERATE
        self._orientations += np.bincount(kind, minlength=len(ORIENTATIONS))

    @property
    def bounding_box(self) -> BoundingBox | None:
        """The extents, or None without facets."""
        if not self.facets:
            return None
        return BoundingBox(_triple(self._low), _triple(self._high))

    @property
    def area(self) -> float:
        """The sum of the facets' areas."""
        return self._area

    @property
    def signed_volume(self) -> float:
        """The volume; negative where the facets face inwards."""
        return self._volume

    @property
    def degenerate(self) -> int:
        """How many facets have no area."""
        return int(self._orientations[_DEGENERATE])

    @property
    def orientations(self) -> dict[str, int]:
        """How many facets each orientation class has, without the empty classes."""
        return {
            name: int(count) for name, count in zip(ORIENTATIONS, self._orientations, strict=True) if count
        }

    def mass(self, *, reliable: bool) -> MassProperties | None:
        """Return volume, centroid and moments; None where no volume is enclosed.

        Facets that face inwards throughout give the same as facets that face outwards.
        """
        if self._origin is None or not self._encloses_volume():
            return None
        volume, sign = abs(self._volume), math.copysign(1.0, self._volume)
        centre = sign * self._first / volume
        covariance = sign * self._second - volume * np.outer(centre, centre)
        inertia = np.trace(covariance) * np.eye(3) - covariance
        moments = np.maximum(np.linalg.eigvalsh(inertia), 0.0)
        return MassProperties(volume, _triple(centre + self._origin), _triple(moments), reliable)

    def _encloses_volume(self) -> bool:
        """Whether the volume stands out from the rounding of the sums."""
        diagonal = float(np.linalg.norm(self._high - self._low))
        return abs(self._volume) > 1e-12 * self._area * diagonal


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
