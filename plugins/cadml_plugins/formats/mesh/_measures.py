"""Area, volume, moments and orientation of facets, summed chunk by chunk in one pass."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cadml_core import BoundingBox, MassProperties

_AXIS_SINE = math.sin(math.radians(1.0))
"""A normal within one degree of a plane of the axes counts as lying in it."""
_ROUNDING = 1e-6
"""Coordinates are single precision as a rule; what is computed from them is right to about this share."""
CHUNK_FACETS = 6000
"""Facets handled at a time: few enough that all intermediate columns stay in the processor's cache. Not a
power of two, at which the columns would fall on the same cache lines and evict one another."""
_UNIT = np.eye(3)
_COLLINEAR = 1e-12
"""A facet is degenerate where the sine of its angle is below this; rounding may make it larger than 0."""

ORIENTATIONS = (
    *("oblique", "along x", "along y", "+z", "along z", "+y", "+x", "degenerate"),
    *("-x", "-y", "-z"),
)
"""Classes of facets by their direction.

A normal is perpendicular to an axis (within one degree) or not. A facet whose normal is perpendicular to no
axis is oblique; to one, it runs along that axis (a chamfer, the wall of a bore); to two, it faces the third
axis in one direction or the other. Quarter turns of a part permute the classes, so their frequencies stay.
The first eight are numbered by the axes that the normal is perpendicular to: x adds 1, y 2, z 4.
"""
_FACING = (6, 5, 3)
"""The numbers of +x, +y and +z."""
_DEGENERATE = 7
"""Perpendicular to all three axes: only a normal of length 0 is."""


class _Workspace:
    """The intermediate columns of a chunk, allocated once: new memory for every chunk would cost as much as
    the arithmetic.

    ``columns`` is (9, m), corner by corner, x, y, z; ``weighted`` likewise; ``u``, ``v`` and
    ``normal`` are (3, m); ``scratch`` is (m,).
    """

    def __init__(self, facets: int) -> None:
        self.columns, self.weighted = np.empty((9, facets)), np.empty((9, facets))
        self.u, self.v, self.normal = np.empty((3, facets)), np.empty((3, facets)), np.empty((3, facets))
        self.scratch = np.empty(facets)


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
        self._work: _Workspace | None = None
        self._origin: NDArray[np.float64] | None = None
        self._low = np.full(3, np.inf)
        self._high = np.full(3, -np.inf)
        self._area = 0.0
        self._volume = 0.0
        self._first = np.zeros(3)
        self._second = np.zeros((3, 3))
        self._orientations = np.zeros(len(ORIENTATIONS), dtype=np.int64)

    def add(self, corners: NDArray[np.floating[Any]]) -> None:
        """Add facets: (m, 3, 3), facet, corner, coordinate; m > 0."""
        if self._origin is None:
            self._origin = corners[0, 0].astype(np.float64)
        self.facets += len(corners)
        rows = corners.reshape(-1, 9)
        for start in range(0, len(rows), CHUNK_FACETS):
            self._add_chunk(rows[start : start + CHUNK_FACETS], self._origin)

    def _add_chunk(self, rows: NDArray[np.floating[Any]], origin: NDArray[np.float64]) -> None:
        work = self._work
        if work is None or work.scratch.shape != (len(rows),):  # the last chunk is shorter
            work = self._work = _Workspace(len(rows))
        np.copyto(work.columns, rows.T)
        points = work.columns.reshape(3, 3, -1)
        np.minimum(self._low, points.min(axis=2).min(axis=0), out=self._low)
        np.maximum(self._high, points.max(axis=2).max(axis=0), out=self._high)
        points -= origin[:, None]
        self._add_normals(points, work)
        self._add_integrals(points[0], work)

    def _add_normals(self, points: NDArray[np.float64], work: _Workspace) -> None:
        """Set ``work.normal`` to the normals, twice the area long; add up areas and directions."""
        u, v = np.subtract(points[1], points[0], out=work.u), np.subtract(points[2], points[0], out=work.v)
        for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
            np.multiply(u[j], v[k], out=work.normal[i])
            work.normal[i] -= np.multiply(u[k], v[j], out=work.scratch)
        length = np.einsum("im,im->m", work.normal, work.normal, out=work.scratch)
        np.sqrt(length, out=length)
        self._area += 0.5 * float(length.sum())
        self._count_orientations(work.normal, length, self._degenerate(u, v, length), u)

    def _add_integrals(self, a: NDArray[np.float64], work: _Workspace) -> None:
        determinant = np.einsum("im,im->m", a, work.normal, out=work.scratch)
        self._volume += float(determinant.sum()) / 6.0
        self._first += (work.columns @ determinant).reshape(3, 3).sum(axis=0) / 24.0
        weighted = np.multiply(work.columns, determinant, out=work.weighted)
        products = (weighted @ work.columns.T).reshape(3, 3, 3, 3)
        self._second += (np.einsum("piqj->ij", products) + np.einsum("pipj->ij", products)) / 120.0

    def _degenerate(
        self, u: NDArray[np.float64], v: NDArray[np.float64], double_area: NDArray[np.float64]
    ) -> NDArray[np.bool_] | None:
        """Mark facets whose sides are parallel; None where all are too large to be degenerate."""
        longest = self.diagonal
        if double_area.min() > _COLLINEAR * longest * longest:
            return None
        sides = np.sqrt(np.einsum("im,im->m", u, u) * np.einsum("im,im->m", v, v))
        marked: NDArray[np.bool_] = double_area <= _COLLINEAR * sides
        return marked

    def _count_orientations(
        self,
        normal: NDArray[np.float64],
        length: NDArray[np.float64],
        degenerate: NDArray[np.bool_] | None,
        scratch: NDArray[np.float64],
    ) -> None:
        sizes = np.abs(normal, out=scratch)
        length *= _AXIS_SINE
        square = (sizes <= length).view(np.uint8)
        kind = square[0] + 2 * square[1] + 4 * square[2]
        if degenerate is not None:
            kind[degenerate] = _DEGENERATE
        counts = np.bincount(kind, minlength=len(ORIENTATIONS))
        for axis, facing in enumerate(_FACING):
            if counts[facing]:
                downwards = np.count_nonzero(normal[axis][kind == facing] < 0.0)
                counts[facing] -= downwards
                counts[_DEGENERATE + 1 + axis] += downwards
        self._orientations += counts

    @property
    def bounding_box(self) -> BoundingBox | None:
        """The extents, or None without facets."""
        if not self.facets:
            return None
        return BoundingBox(_triple(self._low), _triple(self._high))

    @property
    def diagonal(self) -> float:
        """The length of the box's diagonal; there are facets."""
        return math.dist(self._high.tolist(), self._low.tolist())

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
        counts = dict(zip(ORIENTATIONS, self._orientations.tolist(), strict=True))
        return {name: count for name, count in sorted(counts.items()) if count}

    def mass(self, *, reliable: bool) -> MassProperties | None:
        """Return volume, centroid and moments; None where no volume is enclosed.

        A mesh that faces inwards throughout has the same as one that faces outwards. Where the integrals put
        the centroid outside of the box, which no solid does, the middle of the box takes its place.
        """
        if self._origin is None or not self.encloses_volume():
            return None
        # For a mesh that faces inwards all three integrals have the opposite sign.
        volume, sign = abs(self._volume), math.copysign(1.0, self._volume)
        first = sign * self._first
        centre = first / volume if self.has_centroid_inside() else (self._low + self._high) / 2 - self._origin
        shift = first[:, None] * centre
        covariance = sign * self._second - shift - shift.T + volume * (centre[:, None] * centre)
        inertia = covariance.trace() * _UNIT - covariance
        moments = np.maximum(np.linalg.eigvalsh(inertia), 0.0)  # rounding may make that of a needle negative
        return MassProperties(volume, _triple(centre + self._origin), _triple(moments), reliable)

    def covariance(self) -> NDArray[np.float64] | None:
        """Return the covariance of the enclosed points, (3, 3) in mm²; None where no volume is enclosed."""
        if self._origin is None or not self.encloses_volume():
            return None
        centre = self._first / self._volume
        spread: NDArray[np.float64] = self._second / self._volume - centre[:, None] * centre
        return spread

    def encloses_volume(self) -> bool:
        """Whether the volume is larger than what rounding may leave of a flat surface."""
        return bool(self.facets) and abs(self._volume) > 1e-12 * self._area * self.diagonal

    def exceeds_box(self) -> bool:
        """Whether the volume is larger than that of the box, beyond rounding."""
        box: float = math.prod((self._high - self._low).tolist())
        return abs(self._volume) > (1.0 + _ROUNDING) * box

    def has_centroid_inside(self) -> bool:
        """Whether the centroid lies in the box, as that of every solid does; there is a volume."""
        centre = self._first / self._volume + (0.0 if self._origin is None else self._origin)
        margin = _ROUNDING * self.diagonal
        return all(
            low - margin <= place <= high + margin
            for low, place, high in zip(self._low.tolist(), centre.tolist(), self._high.tolist(), strict=True)
        )


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
