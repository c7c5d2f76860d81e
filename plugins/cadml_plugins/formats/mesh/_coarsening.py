"""Coarsening of triangle meshes that have more triangles than wanted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cadml_core import TriangleMesh

_FINEST_GRID = 1 << 20
"""Cells along the longest side; three cell numbers fit into one 63-bit key."""


def coarsen(mesh: TriangleMesh, most: int) -> tuple[TriangleMesh, float]:
    """Merge vertices on the finest grid that leaves at most ``most`` triangles.

    The vertices in one cubic cell become their mean; triangles that collapse or repeat are dropped (vertex
    clustering: J. Rossignac and P. Borrel, "Multi-resolution 3D approximations for rendering complex scenes",
    1993).

    Args:
        mesh: At least one triangle.
        most: From 1 on.

    Returns:
        The coarser mesh, and the diagonal of a cell, which no vertex moved further than. The mesh has no
        triangles where no grid leaves few enough.
    """
    low = mesh.vertices.min(axis=0)
    side = float((mesh.vertices.max(axis=0) - low).max()) or 1.0
    fits, too_fine = 0, _FINEST_GRID
    best = TriangleMesh(mesh.vertices[:0], mesh.triangles[:0])
    # Bisection for the number of cells, up to 3 %: each step costs a pass over the mesh. The geometric mean
    # halves the range of magnitudes; the mean would try grids far too fine first.
    while too_fine - fits > max(1, fits // 32):
        cells = max(1, round((max(fits, 1) * too_fine) ** 0.5)) if too_fine > 4 else fits + 1
        cells = min(max(cells, fits + 1), too_fine - 1)
        clustered = _cluster(mesh, low, side / cells)
        if len(clustered.triangles) <= most:
            fits, best = cells, clustered
        else:
            too_fine = cells
    return best, 3**0.5 * side / max(fits, 1)


def _cluster(mesh: TriangleMesh, low: NDArray[np.float64], cell: float) -> TriangleMesh:
    places = ((mesh.vertices - low) / cell).astype(np.int64)
    # 21 bits a coordinate: the finest grid has 2²⁰ cells a side.
    keys = (places[:, 0] << 42) | (places[:, 1] << 21) | places[:, 2]
    _, cluster = np.unique(keys, return_inverse=True)
    triangles = cluster[mesh.triangles]
    a, b, c = triangles.T
    triangles = triangles[(a != b) & (b != c) & (c != a)]
    _, kept = np.unique(np.sort(triangles, axis=1), axis=0, return_index=True)
    sizes = np.bincount(cluster)
    centres = np.stack([np.bincount(cluster, column) / sizes for column in mesh.vertices.T], axis=1)
    # Triangles keep their order, so that the same mesh is coarsened to the same mesh.
    return TriangleMesh(centres, triangles[np.sort(kept)])
