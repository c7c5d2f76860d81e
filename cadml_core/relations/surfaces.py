"""A closed mesh to measure against: moments, nearest places, samples, and how far its facets may sag."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cadml_core.documents.document import TriangleMesh

Array = NDArray[np.float64]

_SMOOTH = math.radians(50.0)
"""Angle between facets up to which they stand for one curved surface."""
_FOLLOWS = math.radians(30.0)
"""Angle between a facet and the surface that it stands for, somewhat above half of that: a chamfer meets its
faces at 45 degrees, and does not stand for the sharp edge between them."""


@dataclass
class Surface:
    """A closed mesh; lengths in mm."""

    mesh: TriangleMesh
    chord: float | None = None
    """How far it is off the exact surfaces that it was made from; None for a mesh that a file holds."""

    @property
    def exact(self) -> bool:
        """Whether it was made from exact surfaces."""
        return self.chord is not None

    @cached_property
    def corners(self) -> Array:
        """(m, 3, 3): facet, corner, coordinate."""
        found: Array = self.mesh.vertices[self.mesh.triangles]
        return found

    @cached_property
    def moments(self) -> tuple[float, Array, Array]:
        """Volume, centroid (3,) and covariance (3, 3), by the divergence theorem."""
        middle = self.mesh.vertices.mean(axis=0)
        corners = self.corners - middle
        determinants = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))
        volume = float(determinants.sum()) / 6.0
        total = corners.sum(axis=1)
        centre = determinants @ total / 24.0 / volume
        second = np.einsum("m,mci,mcj->ij", determinants, corners, corners)
        second += np.einsum("m,mi,mj->ij", determinants, total, total)
        return abs(volume), centre + middle, second / 120.0 / volume - np.outer(centre, centre)

    @cached_property
    def length(self) -> float:
        """The radius of gyration."""
        return math.sqrt(max(float(np.trace(self.moments[2])), 0.0))

    @cached_property
    def _vectors(self) -> Array:
        found: Array = np.cross(
            self.corners[:, 1] - self.corners[:, 0], self.corners[:, 2] - self.corners[:, 0]
        )
        return found

    @cached_property
    def areas(self) -> Array:
        """(m,), in mm²."""
        found: Array = np.linalg.norm(self._vectors, axis=1) / 2.0
        return found

    @cached_property
    def normals(self) -> Array:
        """Unit normals of the facets, (m, 3); zeros for those without area."""
        lengths = 2.0 * self.areas[:, None]
        found: Array = self._vectors / np.where(lengths > 0.0, lengths, 1.0)
        return found

    @cached_property
    def _tree(self) -> Any:
        import igl  # takes a tenth of a second to import, and is needed where meshes are compared

        tree = igl.AABB()
        tree.init(self.mesh.vertices, self.mesh.triangles)
        return tree

    def nearest(self, points: Array) -> tuple[Array, NDArray[np.int64], Array]:
        """Return exact distances (n,), facets (n,) and nearest places (n, 3) of points."""
        squares, facets, places = self._tree.squared_distance(
            self.mesh.vertices, self.mesh.triangles, np.ascontiguousarray(points)
        )
        return np.sqrt(np.maximum(squares, 0.0)), facets, places

    def samples(self, count: int) -> tuple[Array, NDArray[np.int64]]:
        """Return places by area (count, 3) and their facets, always the same ones."""
        random = np.random.default_rng(0)
        chosen = random.choice(len(self.areas), count, p=self.areas / self.areas.sum())
        one, other = np.sqrt(random.random(count)), random.random(count)
        weights = np.column_stack([1.0 - one, one * (1.0 - other), one * other])
        return np.einsum("nc,nci->ni", weights, self.corners[chosen]), chosen

    @cached_property
    def sag(self) -> Array:
        """How far each facet may be from a curved surface through its corners, (m,).

        Facets of width w that meet at an angle t stand for an arc that is w tan(t / 4) / 2 above them; of two
        widths the smaller counts. Between coplanar facets, and across sharp edges, there is no arc.
        """
        own = np.zeros(len(self.mesh.triangles))
        if self.chord is not None:
            return own + self.chord
        left, right, ends = _neighbours(self.mesh.triangles)
        cosines = np.einsum("ij,ij->i", self.normals[left], self.normals[right])
        angles = np.arccos(np.clip(cosines, -1.0, 1.0))
        angles[angles > _SMOOTH] = 0.0
        sides = np.linalg.norm(self.mesh.vertices[ends[:, 0]] - self.mesh.vertices[ends[:, 1]], axis=1)
        width = 2.0 * np.minimum(self.areas[left], self.areas[right]) / np.where(sides > 0.0, sides, np.inf)
        for facets in (left, right):
            np.maximum.at(own, facets, width * np.tan(angles / 4.0) / 2.0)
        return own

    def sag_on(self, other: Surface, motion: Array) -> Array:
        """The same by the normals of an exact surface, (m,): they turn from corner to corner of a facet.

        They are taken a little inside of the corners, where a facet lies on one face. A facet that covers a
        hole in a plane has the same normal at all corners, and no sag; neither has one that does not follow
        the surface, with a normal far from its own.
        """
        inside = 0.9 * self.corners + 0.1 * self.corners.mean(axis=1, keepdims=True)
        places = inside.reshape(-1, 3) @ motion[:3, :3].T + motion[:3, 3]
        _, facets, _ = other.nearest(places)
        normals = other.normals[facets].reshape(-1, 3, 3)
        own = np.zeros(len(self.mesh.triangles))
        for one, two in ((0, 1), (1, 2), (2, 0)):
            cosines = np.einsum("ij,ij->i", normals[:, one], normals[:, two])
            angles = np.arccos(np.clip(cosines, 0.0, 1.0))
            sides = np.linalg.norm(self.corners[:, one] - self.corners[:, two], axis=1)
            own = np.maximum(own, sides * np.tan(angles / 4.0) / 2.0)
        turn = motion[:3, :3]
        follows = (np.einsum("mi,mci->mc", self.normals @ turn.T, normals) > math.cos(_FOLLOWS)).all(axis=1)
        return np.where(follows, own, 0.0)

    def around(self, own: Array) -> Array:
        """Return for each facet the largest value of those that share a corner with it."""
        at_vertices = np.zeros(len(self.mesh.vertices))
        for corner in range(3):
            np.maximum.at(at_vertices, self.mesh.triangles[:, corner], own)
        found: Array = at_vertices[self.mesh.triangles].max(axis=1)
        return found


def _neighbours(
    triangles: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the facets on both sides of each side that two share, and its ends."""
    sides = np.sort(
        np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1
    )
    owners = np.tile(np.arange(len(triangles)), 3)
    order = np.lexsort((sides[:, 1], sides[:, 0]))
    sides, owners = sides[order], owners[order]
    pair = np.flatnonzero((sides[1:] == sides[:-1]).all(axis=1))
    return owners[pair], owners[pair + 1], sides[pair]
