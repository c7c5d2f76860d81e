"""Models in three dimensions as binary glTF 2.0: quantised facets, and feature edges as lines.

Written after the specifications glTF 2.0 and KHR_mesh_quantization of the Khronos Group. Positions are 16-bit
integers, which the node's scale and translation turn into millimetres; the axes are those of the file.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from cadml_core.documents.document import CadDocument, TriangleMesh
from cadml_core.errors import UnsupportedContent

MODEL_MAKER = "model 1"
_SHARP = np.cos(np.radians(25.0))
"""Edges whose facets meet at a larger angle are drawn as lines."""
_STEPS = 65_535
_TRIANGLES, _LINES = 4, 1
_UNSIGNED_SHORT, _UNSIGNED_INT, _BYTE, _UNSIGNED_BYTE = 5123, 5125, 5120, 5121
_ARRAY, _ELEMENTS = 34962, 34963
_TYPES = {"u2": _UNSIGNED_SHORT, "u4": _UNSIGNED_INT, "i1": _BYTE, "u1": _UNSIGNED_BYTE}


def model_of(document: CadDocument) -> bytes:
    """Return a document's model.

    Raises:
        UnsupportedContent: It has no surface, or no curves.
    """
    mesh = document.mesh
    if mesh is None and document.view is not None:
        mesh = document.view.mesh()
    if mesh is not None and len(mesh.triangles):
        return write_glb(mesh)
    curves = [] if document.view is None else [curve for curve in document.view.curves() if len(curve) > 1]
    if not curves:
        raise UnsupportedContent("there is no surface and no curve to show", stage="picture")
    points: NDArray[np.float64] = np.concatenate(curves).astype(np.float64)
    ends = np.cumsum([len(curve) for curve in curves])
    first = np.setdiff1d(np.arange(len(points)), ends - 1)
    empty = TriangleMesh(points, np.empty((0, 3), np.int64))
    return write_glb(empty, lines=np.column_stack([first, first + 1]))


def write_glb(
    mesh: TriangleMesh,
    *,
    lines: NDArray[np.int64] | None = None,
    colours: NDArray[np.uint8] | None = None,
    extras: dict[str, Any] | None = None,
) -> bytes:
    """Write a mesh as GLB; the same mesh gives the same bytes.

    Args:
        mesh: In millimetres.
        lines: Pairs of vertices (k, 2) that are joined by lines; where None, the feature edges of the mesh.
        colours: Of each vertex, (n, 4); linear RGBA.
        extras: What else is said of the model, as ``asset.extras``.
    """
    lines = feature_edges(mesh) if lines is None else lines
    low = mesh.vertices.min(axis=0)
    span = float(np.ptp(mesh.vertices, axis=0).max()) or 1.0
    places = np.rint((mesh.vertices - low) * (_STEPS / span)).astype("<u2")
    buffer = _Buffer()
    primitives: list[dict[str, Any]] = []
    if len(mesh.triangles):
        corners = _split(mesh)
        # Facets that collapse when places are rounded would draw nothing.
        shown = places[corners.vertices][corners.triangles]
        whole = (np.ptp(shown, axis=1).max(axis=1) > 0).nonzero()[0]
        attributes = {
            "POSITION": buffer.add(_padded(places[corners.vertices]), "VEC3", bounds=True),
            "NORMAL": buffer.add(_padded(corners.normals), "VEC3", normalised=True),
        }
        if colours is not None:
            attributes["COLOR_0"] = buffer.add(colours[corners.vertices], "VEC4", normalised=True)
        primitives.append(
            {
                "attributes": attributes,
                "indices": buffer.add(_indices(corners.triangles[whole].ravel()), "SCALAR"),
                "mode": _TRIANGLES,
                "material": 0,
            }
        )
    if len(lines):
        used, numbers = np.unique(lines, return_inverse=True)
        primitives.append(
            {
                "attributes": {"POSITION": buffer.add(_padded(places[used]), "VEC3", bounds=True)},
                "indices": buffer.add(_indices(numbers.ravel()), "SCALAR"),
                "mode": _LINES,
                "material": 1,
            }
        )
    scale = span / _STEPS
    asset: dict[str, Any] = {"version": "2.0", "generator": "cadml"}
    if extras:
        asset["extras"] = extras
    grey = [1.0, 1.0, 1.0, 1.0] if colours is not None else [0.6, 0.64, 0.68, 1.0]
    content = {
        "asset": asset,
        "extensionsUsed": ["KHR_mesh_quantization"],
        "extensionsRequired": ["KHR_mesh_quantization"],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "scale": [scale] * 3, "translation": low.tolist()}],
        "meshes": [{"primitives": primitives}],
        "materials": [
            {
                "pbrMetallicRoughness": {
                    "baseColorFactor": grey,
                    "metallicFactor": 0.0,
                    "roughnessFactor": 0.8,
                },
                "doubleSided": True,
            },
            {"pbrMetallicRoughness": {"baseColorFactor": [0.05, 0.06, 0.08, 1.0], "metallicFactor": 0.0}},
        ],
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.data)}],
    }
    return _container(msgspec.json.encode(content), bytes(buffer.data))


def feature_edges(mesh: TriangleMesh) -> NDArray[np.int64]:
    """Return the pairs of vertices (k, 2) of edges where facets meet at an angle, or where a surface ends."""
    edges, facets, counts = _edges(mesh.triangles)
    normals = facet_normals(mesh)
    sharp = counts != 2
    pairs = np.flatnonzero(~sharp)
    cosine = np.einsum("ij,ij->i", normals[facets[pairs, 0]], normals[facets[pairs, 1]])
    sharp[pairs] = cosine < _SHARP
    found: NDArray[np.int64] = edges[sharp]
    return found


def facet_normals(mesh: TriangleMesh) -> NDArray[np.float64]:
    """Return the unit normals (m, 3) of facets; zero where a facet has no area."""
    corners = mesh.vertices[mesh.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    found: NDArray[np.float64] = normals / np.where(lengths > 0.0, lengths, 1.0)
    return found


def _edges(
    triangles: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct edges (k, 2), the first two facets of each (k, 2), and how many it has (k,)."""
    sides = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    keys = sides[:, 0] * (int(triangles.max(initial=0)) + 1) + sides[:, 1]
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
    counts = np.diff(starts, append=len(order))
    facets = order // 3
    second = np.minimum(starts + 1, len(order) - 1)
    return sides[order[starts]], np.column_stack([facets[starts], facets[second]]), counts


class _Corners(NamedTuple):
    vertices: NDArray[np.int64]
    """(c,): the mesh's vertex of each corner that is written."""
    normals: NDArray[np.int8]
    triangles: NDArray[np.int64]


def _split(mesh: TriangleMesh) -> _Corners:
    """Return vertices with normals: one for each smooth patch at a vertex, so that edges stay sharp."""
    normals = facet_normals(mesh)
    corners = mesh.vertices[mesh.triangles]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    patches = _patches(mesh, normals)
    keys = (mesh.triangles * (int(patches.max()) + 1) + patches[:, None]).ravel()
    _, first, numbers = np.unique(keys, return_index=True, return_inverse=True)
    numbers = numbers.ravel()
    weighted = np.repeat(normals * areas[:, None], 3, axis=0)
    sums = np.column_stack([np.bincount(numbers, weighted[:, k], len(first)) for k in range(3)])
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    mean = np.rint(sums / np.where(lengths > 0.0, lengths, 1.0) * 127.0).astype(np.int8)
    return _Corners(mesh.triangles.ravel()[first], mean, numbers.reshape(-1, 3))


def _patches(mesh: TriangleMesh, normals: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return for each facet (m,) the number of its patch: facets joined by edges that are not sharp."""
    from scipy.sparse import coo_array  # takes a tenth of a second to import
    from scipy.sparse.csgraph import connected_components

    _, facets, counts = _edges(mesh.triangles)
    pairs = facets[counts == 2]
    cosine = np.einsum("ij,ij->i", normals[pairs[:, 0]], normals[pairs[:, 1]])
    pairs = pairs[cosine >= _SHARP]
    size = len(mesh.triangles)
    joined = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(size, size))
    _, found = connected_components(joined, directed=False)
    patches: NDArray[np.int64] = found.astype(np.int64)
    return patches


def _padded(rows: NDArray[Any]) -> NDArray[Any]:
    """Return rows of three with a fourth column: each row of a vertex attribute begins at a multiple of 4."""
    return np.column_stack([rows, np.zeros(len(rows), rows.dtype)])


def _indices(numbers: NDArray[np.int64]) -> NDArray[Any]:
    return numbers.astype("<u2" if numbers.max(initial=0) < _STEPS else "<u4")


class _Buffer:
    """Collects the binary part, and what says how to read it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add(self, array: NDArray[Any], kind: str, *, normalised: bool = False, bounds: bool = False) -> int:
        """Append an array; return the number of its accessor."""
        rows = np.ascontiguousarray(array)
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.data), "byteLength": rows.nbytes}
        view["target"] = _ELEMENTS if kind == "SCALAR" else _ARRAY
        if kind != "SCALAR":
            view["byteStride"] = rows.strides[0]
        accessor: dict[str, Any] = {
            "bufferView": len(self.views),
            "componentType": _TYPES[rows.dtype.str[1:]],
            "count": len(rows),
            "type": kind,
        }
        if normalised:
            accessor["normalized"] = True
        if bounds:
            accessor |= {"min": rows[:, :3].min(axis=0).tolist(), "max": rows[:, :3].max(axis=0).tolist()}
        self.data += rows.tobytes()
        self.data += b"\0" * (-len(self.data) % 4)
        self.views.append(view)
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def _container(content: bytes, data: bytes) -> bytes:
    content += b" " * (-len(content) % 4)
    chunks = struct.pack("<I4s", len(content), b"JSON") + content
    if data:
        chunks += struct.pack("<I4s", len(data), b"BIN\0") + data
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
