"""Packing a triangle mesh on its way from a reader process; meshes are never stored."""

from __future__ import annotations

import msgspec
import numpy as np

from cadml_core.documents.document import TriangleMesh


class _Packed(msgspec.Struct, frozen=True, array_like=True):
    vertices: bytes
    triangles: bytes


def pack_mesh(mesh: TriangleMesh) -> bytes:
    """Write a mesh as bytes: places as float64, corners as int32."""
    vertices = np.ascontiguousarray(mesh.vertices, dtype="<f8").tobytes()
    return msgspec.msgpack.encode(
        _Packed(vertices, np.ascontiguousarray(mesh.triangles, dtype="<i4").tobytes())
    )


def unpack_mesh(data: bytes) -> TriangleMesh:
    """Read back what ``pack_mesh`` wrote."""
    packed = msgspec.msgpack.decode(data, type=_Packed)
    vertices = np.frombuffer(packed.vertices, "<f8").reshape(-1, 3)
    triangles = np.frombuffer(packed.triangles, "<i4").reshape(-1, 3)
    return TriangleMesh(vertices.astype(np.float64), triangles.astype(np.int64))
