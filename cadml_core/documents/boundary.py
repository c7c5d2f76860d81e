"""The faces and edges of a boundary representation as columns of numbers: what shape features are made of."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

SURFACE_KINDS = (
    *("plane", "cylinder", "cone", "sphere", "torus", "bezier", "bspline"),
    *("revolution", "extrusion", "offset", "other"),
)
"""What ``face_kinds`` counts through."""
CURVE_KINDS = (
    *("line", "circle", "ellipse", "hyperbola", "parabola", "bezier", "bspline", "offset", "other"),
)
"""What ``edge_kinds`` counts through."""


class Boundary(msgspec.Struct, frozen=True):
    """Faces and edges of all bodies, each use of a repeated body by itself; never stored.

    Degenerate edges (the pole of a sphere) are left out; seams are edges whose two faces are the same.
    """

    face_kinds: NDArray[np.int64]
    """(f,), positions in ``SURFACE_KINDS``."""
    face_areas: NDArray[np.float64]
    """(f,), mm²; 0 where a face could not be measured."""
    face_radii: NDArray[np.float64]
    """(f,), mm: of a cylinder or sphere, the pipe's of a torus, 0 for all others."""
    face_concave: NDArray[np.bool_]
    """(f,): the axis of a cylinder, cone, torus, or the centre of a sphere, is outside of the material."""
    face_wires: NDArray[np.int64]
    """(f,), how many closed borders a face has."""
    edge_kinds: NDArray[np.int64]
    """(e,), positions in ``CURVE_KINDS``."""
    edge_lengths: NDArray[np.float64]
    """(e,), mm."""
    edge_angles: NDArray[np.float64]
    """(e,), radians between the outward normals of both faces in the middle of the edge: positive where the
    edge is convex, negative where it is concave; NaN where it has not two faces or cannot be told."""
    edge_faces: NDArray[np.int64]
    """(e, 2), positions of the faces that meet there; -1 for none."""
    vertices: int
