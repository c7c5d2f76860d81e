"""The flat faces of a DXF model as one triangle mesh."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from ezdxf.disassemble import recursive_decompose
from ezdxf.math import Vec3
from ezdxf.render.mesh import MeshBuilder

from cadml_core import LimitExceeded, TriangleMesh

_FACETED = frozenset({"3DFACE", "MESH", "POLYLINE"})


def triangle_mesh(document: Any, millimetres: float, most: int) -> TriangleMesh:
    """Return the faces of 3DFACE, MESH and mesh POLYLINE entities, blocks placed, as triangles.

    Args:
        document: The ezdxf document, audited, so that no block contains itself.
        millimetres: The length of a drawing unit.
        most: How many triangles there may be, polygons cut into fans.

    Raises:
        LimitExceeded: There are more.
    """
    vertices: list[tuple[float, float, float]] = []
    triangles: list[tuple[int, int, int]] = []
    candidates = (entity for entity in document.modelspace() if entity.dxftype() in {*_FACETED, "INSERT"})
    for entity in recursive_decompose(candidates):
        for face in _faces(entity):
            first = len(vertices)
            vertices += face
            triangles += [(first, first + i, first + i + 1) for i in range(1, len(face) - 1)]
        if len(triangles) > most:
            raise LimitExceeded("mesh.max_triangles", found=len(triangles), allowed=most)
    points = np.array(vertices, dtype=np.float64).reshape(-1, 3) * millimetres
    points, number = np.unique(points, axis=0, return_inverse=True)
    return TriangleMesh(points, number[np.array(triangles, dtype=np.int64).reshape(-1, 3)])


def _faces(entity: Any) -> Iterator[list[tuple[float, float, float]]]:
    kind = entity.dxftype()
    if kind == "3DFACE":
        yield [vertex.xyz for vertex in entity.wcs_vertices()]
        return
    if kind == "MESH":
        mesh = MeshBuilder.from_mesh(entity)
    elif kind == "POLYLINE" and (entity.is_poly_face_mesh or entity.is_polygon_mesh):
        mesh = MeshBuilder.from_polyface(entity)
    else:
        return
    for face in mesh.faces_as_vertices():
        yield [Vec3(vertex).xyz for vertex in face]
