"""The triangle mesh of a shape, within a deflection and a number of triangles."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cadml_core import BoundingBox, LimitExceeded, ReadLimits, TriangleMesh
from cadml_plugins.formats.kernel import _topology
from cadml_plugins.formats.kernel._occt import Shape, kernel_class, kernel_function
from cadml_plugins.formats.mesh._coarsening import coarsen
from cadml_plugins.formats.mesh._welding import weld_on_grid

_Mesher = kernel_class("BRepMesh_IncrementalMesh")
_Location = kernel_class("TopLoc_Location")
_triangulation = kernel_function("BRep_Tool", "Triangulation")
_clean = kernel_function("BRepTools", "Clean")
_as_face = kernel_function("TopoDS", "Face")

ANGLE = 0.5
"""Largest angle between neighbouring facets, in radians, whatever the deflection: small curved faces would
lose their shape otherwise."""

COARSER = (1.0, 4.0, 16.0)
"""Factors by which the deflection is relaxed in turn where there are too many facets."""


def tessellate(
    shape: Shape, limits: ReadLimits, box: BoundingBox | None, warnings: list[str]
) -> TriangleMesh | None:
    """Return the facets of a shape, in every place of a part; None where no mesh is wanted or possible.

    Vertices that faces share are welded. Where there are too many triangles, the deflection is relaxed, and
    the mesh then coarsened if need be, with a warning.

    Raises:
        LimitExceeded: There are more than ``limits.max_triangles`` even so.
        Failure: The kernel threw.
    """
    request = limits.mesh
    faces = _topology.explore(shape, _topology.FACE)
    if request is None or box is None or not faces:
        return None
    diagonal = math.hypot(*box.extents)
    count = 0
    for factor in COARSER:
        _clean(shape)  # the kernel would keep an existing triangulation that is finer
        _Mesher(shape, request.relative_deflection * diagonal * factor or 1.0, False, ANGLE, False)
        count = sum(map(triangle_count, faces))
        if count <= request.max_triangles:
            break
    if count > limits.max_triangles:
        raise LimitExceeded("max_triangles", found=count, allowed=limits.max_triangles)
    # Neighbouring faces share the points of their edges, but for rounding when they are placed.
    mesh = _gather(faces, diagonal)
    if len(mesh.triangles) > request.max_triangles:
        mesh, _ = coarsen(mesh, request.max_triangles)
    if factor > 1.0:
        warnings.append("the mesh is coarser than asked, to stay within its number of triangles")
    return mesh if len(mesh.triangles) else None


def _gather(faces: list[Shape], diagonal: float) -> TriangleMesh:
    points, corners, offset = [], [], 0
    for face in faces:
        vertices, facets = triangles(face)
        points.append(vertices)
        corners.append(facets + offset)
        offset += len(vertices)
    return weld_on_grid(np.concatenate(points), np.concatenate(corners), (diagonal or 1.0) * 1e-9)


def triangle_count(face: Shape) -> int:
    """Return how many triangles the face's triangulation has, 0 where it has none."""
    found = _triangulation(_as_face(face), _Location())
    return 0 if found is None else int(found.NbTriangles())


def triangles(face: Shape) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return a face's triangulation: vertices (n, 3) in place, triangles (m, 3) facing outwards."""
    location = _Location()
    found = _triangulation(_as_face(face), location)
    if found is None:
        return np.empty((0, 3)), np.empty((0, 3), np.int64)
    nodes = (found.Node(index) for index in range(1, found.NbNodes() + 1))
    vertices = np.array([(node.X(), node.Y(), node.Z()) for node in nodes]).reshape(-1, 3)
    corners = [found.Triangle(index).Get() for index in range(1, found.NbTriangles() + 1)]
    facets = np.array(corners, np.int64).reshape(-1, 3) - 1
    matrix = _topology.placement(location)
    if matrix is not None:
        vertices = vertices @ matrix[:3, :3].T + matrix[:3, 3]
    return vertices, facets[:, ::-1] if _topology.is_reversed(face) else facets
