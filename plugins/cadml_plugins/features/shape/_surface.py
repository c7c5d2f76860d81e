"""A triangle mesh made ready for description: cleaned, outwards, in its own units, and sampled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cadml_core import TriangleMesh

Floats = NDArray[np.float64]

SAMPLES = 8192
"""Points on the surface, equally spaced by area along the list of facets."""

_LEAST_AREA = 1e-14
"""Facets with less of the squared extent have no direction."""
_PLASTIC = 1.32471795724474602596
"""The sequences of fractions of i/p and i/p² cover the unit square evenly (M. Roberts 2018, after the plastic
number of Dom H. van der Laan)."""


@dataclass(frozen=True, slots=True)
class Surface:
    """Facets with an area, about the centroid of the surface, in units of its size.

    The unit is √12 times the root mean square distance from the centroid, which stays when a part is turned:
    it is the length of a rod, and about the diagonal of a box.
    """

    vertices: Floats
    """(v, 3)."""
    triangles: NDArray[np.int64]
    """(m, 3), outwards where the surface is closed."""
    normals: Floats
    """(m, 3), unit length."""
    areas: Floats
    """(m,)."""
    volume: float
    """Not negative; only formal where the surface is open."""
    unit: float
    """Millimetres."""
    points: Floats
    """(SAMPLES, 3)."""
    point_normals: Floats
    """(SAMPLES, 3)."""

    @property
    def corners(self) -> Floats:
        """The vertices that facets use."""
        used = np.zeros(len(self.vertices), np.bool_)
        used[self.triangles] = True
        return self.vertices[used]

    @property
    def area(self) -> float:
        """The whole area."""
        return float(self.areas.sum())


def prepare(mesh: TriangleMesh) -> Surface | None:
    """Clean and sample a mesh; None where it has no facet with an area."""
    used = np.zeros(len(mesh.vertices), np.bool_)
    used[mesh.triangles] = True
    if not used.any():
        return None
    low, high = mesh.vertices[used].min(axis=0), mesh.vertices[used].max(axis=0)
    # Divided before it is squared: coordinates may be as large as floats are.
    widest = float((high / 2 - low / 2).max()) * 2
    if not 0.0 < widest < np.inf:
        return None
    vertices = (mesh.vertices - (low / 2 + high / 2)) / widest
    a, b, c = (vertices[column] for column in mesh.triangles.T)
    crosses = np.cross(b - a, c - a)
    doubled = np.sqrt(np.einsum("ij,ij->i", crosses, crosses))
    kept = doubled > 2 * _LEAST_AREA
    if not kept.any():
        return None
    triangles, crosses, doubled = mesh.triangles[kept], crosses[kept], doubled[kept]
    centre, size = _centre_and_size(vertices[triangles], doubled)
    vertices, crosses, doubled = (vertices - centre) / size, crosses / size**2, doubled / size**2
    volume = float(np.einsum("ij,ij->", vertices[triangles[:, 0]], crosses)) / 6.0
    if volume < 0.0:
        triangles, crosses = triangles[:, ::-1], -crosses
    normals = crosses / doubled[:, None]
    points, facets = _sample(vertices, triangles, doubled)
    return Surface(
        vertices, triangles, normals, doubled / 2, abs(volume), size * widest, points, normals[facets]
    )


def _centre_and_size(corners: Floats, weights: Floats) -> tuple[Floats, float]:
    """Return the centroid of facets, (m, 3, 3), and √12 times the root mean square distance from it.

    A facet of area A with the corners a, b, c about the centroid, s = a + b + c, has the second moment
    A (a·a + b·b + c·c + s·s) / 12.
    """
    total = float(weights.sum())
    centre = np.einsum("m,mpi->i", weights, corners) / (3.0 * total)
    corners = corners - centre
    middle = corners.sum(axis=1)
    squares = np.einsum("mpi,mpi->m", corners, corners) + np.einsum("mi,mi->m", middle, middle)
    return centre, float(np.sqrt(np.einsum("m,m->", weights, squares) / total))


def _sample(
    vertices: Floats, triangles: NDArray[np.int64], weights: Floats
) -> tuple[Floats, NDArray[np.int64]]:
    """Return points spread evenly over the area, and the facet of each; the same for the same mesh."""
    reached = np.cumsum(weights)
    numbers = np.arange(SAMPLES)
    facets = np.searchsorted(reached, (numbers + 0.5) / SAMPLES * reached[-1], side="right")
    facets = np.minimum(facets, len(triangles) - 1)
    root, v = np.sqrt((numbers + 1) / _PLASTIC % 1.0), (numbers + 1) / _PLASTIC**2 % 1.0
    a, b, c = (vertices[triangles[facets, corner]] for corner in range(3))
    points = a * (1 - root)[:, None] + b * (root * (1 - v))[:, None] + c * (root * v)[:, None]
    return points, facets


def shares(positions: NDArray[np.int64], count: int, weights: Floats | None = None) -> Floats:
    """Return how the weight is spread over ``count`` bins, as shares of 1; zeros where there is none."""
    found = np.bincount(positions, weights, minlength=count).astype(np.float64)
    total = float(found.sum())
    return found / total if total > 0.0 else found


def bins(values: Floats, low: float, high: float, count: int) -> NDArray[np.int64]:
    """Return the bin of each value among ``count`` equal ones from low to high; the outer ones are open."""
    places = ((values - low) * (count / (high - low))).astype(np.int64)
    return np.clip(places, 0, count - 1)


def entropy(portions: Floats) -> float:
    """Return the entropy of shares in nats."""
    some = portions[portions > 0.0]
    return float(-(some * np.log(some)).sum())
