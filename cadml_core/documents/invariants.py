"""What stays the same of a solid however it is moved and turned: volume, area, moments, hand, counts."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

Vector3 = tuple[float, float, float]

MOST_BODIES = 64
"""So many distinct bodies of a file have rows of their own."""

_PERMUTATION = np.zeros((3, 3, 3))
_PERMUTATION[(0, 1, 2), (1, 2, 0), (2, 0, 1)] = 1.0
_PERMUTATION[(0, 2, 1), (2, 1, 0), (1, 0, 2)] = -1.0
"""Of three vectors, the determinant is the sum of all products of components times these signs."""
_ROWS, _COLUMNS = np.triu_indices(3)


class BodyInvariants(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One body, or all bodies of a file together. Lengths are millimetres."""

    volume: float
    """Cubic millimetres."""
    area: float
    """Square millimetres."""
    moments: Vector3
    """Eigenvalues of the covariance of the enclosed points, ascending, in mm²."""
    chirality: tuple[float, ...] | None = None
    """What ``chirality`` returns; None where it was not computed."""
    chirality_error: float = 0.0
    """How far each number of it may be off."""
    faces: int = 0
    edges: int = 0
    """Without seams."""
    vertices: int = 0
    """Where edges meet; the ends of a closed edge are none."""
    count: int = 1
    """How often the body is placed in the file."""
    reliable: bool = True
    """False where the boundary is open or inconsistent, so that the volume is only formal."""

    def scaled(self, factor: float) -> BodyInvariants:
        """Return those of the same body with every length times a positive factor."""
        low, middle, high = self.moments
        return msgspec.structs.replace(
            self,
            volume=self.volume * factor**3,
            area=self.area * factor**2,
            moments=(low * factor**2, middle * factor**2, high * factor**2),
        )

    @property
    def length(self) -> float:
        """The radius of gyration about the centroid, in mm: the unit in which parts are compared."""
        return math.sqrt(max(sum(self.moments), 0.0))


class Invariants(msgspec.Struct, frozen=True, omit_defaults=True):
    """The invariants of a file: of the whole, and of each of its distinct bodies."""

    whole: BodyInvariants
    bodies: tuple[BodyInvariants, ...] = ()
    """Distinct solids; empty where there are more than ``MOST_BODIES``, and for meshes."""
    exact: bool = True
    """True for surfaces, False for facets."""

    def scaled(self, factor: float) -> Invariants:
        """Return those of the same thing with every length times a positive factor."""
        bodies = tuple(body.scaled(factor) for body in self.bodies)
        return Invariants(self.whole.scaled(factor), bodies, self.exact)


def chirality(
    points: NDArray[np.float64],
    normals: NDArray[np.float64],
    areas: NDArray[np.float64],
    centre: NDArray[np.float64],
    covariance: NDArray[np.float64],
) -> tuple[float, ...]:
    """Return numbers that a mirror image has with the opposite sign, and no motion or scale changes.

    They are the integrals of det[M n, x, n] w over the surface, relative to area and size, where x is the
    place about the centroid, n the outward normal, M the covariance of the enclosed points or that of the
    normals, and w either 1 or x · n. All are 0 for a part that equals its mirror image. No frame is
    needed, so parts with tied moments have them as well. Exact for flat facets given by their centroids.

    Args:
        points: Nodes on the surface, (n, 3), in mm.
        normals: Unit outward normals there, (n, 3).
        areas: The area that each node stands for, (n,).
        centre: The centroid, (3,).
        covariance: Of the enclosed points, (3, 3).

    Returns:
        Four numbers; zeros where the part has no extent.
    """
    total = float(areas.sum())
    size = math.sqrt(max(float(np.trace(covariance)), 0.0))
    if not (total > 0.0 and size > 0.0):
        return (0.0, 0.0, 0.0, 0.0)
    places, shares = (points - centre) / size, areas / total
    height = np.einsum("ij,ij->i", places, normals)
    weighed = normals * shares[:, None]
    # The determinant is linear in x and in the products of the components of n: it needs their sums only.
    products = weighed[:, _ROWS] * normals[:, _COLUMNS]
    sums = np.empty((2, 3, 3, 3))
    for moments, factors in zip(sums, (places, places * height[:, None]), strict=True):
        moments[:, _ROWS, _COLUMNS] = moments[:, _COLUMNS, _ROWS] = factors.T @ products
    matrices = np.stack([covariance / size**2, weighed.T @ normals])
    numbers = np.einsum("ijk,mil,sjlk->ms", _PERMUTATION, matrices, sums)
    return tuple(numbers.ravel().tolist())
