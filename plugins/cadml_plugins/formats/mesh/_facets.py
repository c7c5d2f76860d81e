"""The facets of a mesh as vectors, which several measures share."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cadml_plugins.formats.mesh._welding import Corners

Array = NDArray[np.float64]


class Facets(NamedTuple):
    """Corners and normals of n facets."""

    corners: Array
    """(n, 3, 3): facet, corner, coordinate."""
    normals: Array
    """(n, 3), each twice as long as the area of its facet."""
    doubled: Array
    """(n,): those lengths."""

    def some(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> Facets:
        """Return some of them, by number or by marks."""
        return Facets(self.corners[chosen], self.normals[chosen], self.doubled[chosen])


def vectors_of(corners: Corners) -> Facets:
    """Return the vectors of facets, (n, 3, 3)."""
    places = corners.astype(np.float64)
    x, y, z = (places[:, 1] - places[:, 0]).T
    p, q, r = (places[:, 2] - places[:, 0]).T
    normals = np.empty((3, len(places)))  # numpy's product takes three times as long
    np.subtract(y * r, z * q, out=normals[0])
    np.subtract(z * p, x * r, out=normals[1])
    np.subtract(x * q, y * p, out=normals[2])
    lengths = np.sqrt(np.einsum("ji,ji->i", normals, normals))
    return Facets(places, np.ascontiguousarray(normals.T), lengths)
