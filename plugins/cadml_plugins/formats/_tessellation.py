"""Facets of a shape on request, within a bounded deflection and number of triangles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cadml_core.contracts import ReadLimits
from cadml_core.document import BoundingBox, TriangleMesh
from cadml_core.errors import LimitExceeded
from cadml_plugins.formats import _topology
from cadml_plugins.formats._occt import Shape, kernel_class, kernel_function

_Mesher = kernel_class("BRepMesh_IncrementalMesh")
_Location = kernel_class("TopLoc_Location")
_triangulation = kernel_function("BRep_Tool", "Triangulation")
_clean = kernel_function("BRepTools", "Clean")
_as_face = kernel_function("TopoDS", "Face")

ANGLE = 0.5
"""Radians between neighbouring facets at most, whatever the deflection; half of it near edges."""

COARSER = (1.0, 4.0, 16.0)
"""How often the deflection asked for is relaxed where the facets are too many."""


def tessellate(
    shape: Shape, limits: ReadLimits, box: BoundingBox | None, warnings: list[str]
) -> TriangleMesh | None:
    """Return the facets of a shape, placed parts repeated; None where no mesh was asked for or possible.

    Vertices that faces share are welded. Where the triangles are more than ``max_triangles`` the
    deflection is relaxed, with a warning, up to 16 times.

    Raises:
        LimitExceeded: There are too many triangles even so.
        Failure: The kernel threw.
    """
    request = limits.mesh
    if request is None or box is None:
        return None
    faces = _topology.explore(shape, _topology.FACE)
    diagonal = float(np.linalg.norm(box.extents))
    allowed = min(request.max_triangles, limits.max_triangles)
    if not faces or diagonal == 0.0:
        return None
    count = 0
    for factor in COARSER:
        _clean(shape)
        _Mesher(shape, request.relative_deflection * diagonal * factor, False, ANGLE, False)
        count = sum(map(_triangle_count, faces))
        if count <= allowed:
            if factor > 1.0:
                warnings.append(f"the mesh is {factor:g} times coarser than asked, to stay in bounds")
            return _gather(faces, diagonal)
    raise LimitExceeded("max_triangles", found=count, allowed=allowed)


def _gather(faces: list[Shape], diagonal: float) -> TriangleMesh:
    vertices, triangles, offset = [], [], 0
    for face in faces:
        points, corners = _triangles(face)
        vertices.append(points)
        triangles.append(corners + offset)
        offset += len(points)
    return _weld(np.concatenate(vertices), np.concatenate(triangles), diagonal * 1e-9)


def _weld(vertices: NDArray[np.float64], triangles: NDArray[np.int64], tolerance: float) -> TriangleMesh:
    """Merge vertices that fall into one cell of the tolerance's grid; drop triangles that collapse."""
    cells = np.round(vertices / tolerance).astype(np.int64)
    _, first, index = np.unique(cells, axis=0, return_index=True, return_inverse=True)
    merged = index.reshape(-1)[triangles]
    a, b, c = merged.T
    return TriangleMesh(vertices[first], merged[(a != b) & (b != c) & (c != a)].astype(np.int64))


def _triangle_count(face: Shape) -> int:
    found = _triangulation(_as_face(face), _Location())
    return 0 if found is None else int(found.NbTriangles())


def _triangles(face: Shape) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return a face's triangulation: vertices (n, 3) in place, triangles (m, 3) facing outwards."""
    location = _Location()
    found = _triangulation(_as_face(face), location)
    if found is None:
        return np.empty((0, 3)), np.empty((0, 3), np.int64)
    nodes = (found.Node(index) for index in range(1, found.NbNodes() + 1))
    vertices = np.array([(node.X(), node.Y(), node.Z()) for node in nodes]).reshape(-1, 3)
    corners = [found.Triangle(index).Get() for index in range(1, found.NbTriangles() + 1)]
    triangles = np.array(corners, np.int64).reshape(-1, 3) - 1
    matrix = _topology.placement(location)
    if matrix is not None:
        vertices = vertices @ matrix[:3, :3].T + matrix[:3, 3]
    return vertices, triangles[:, ::-1] if _topology.is_reversed(face) else triangles
