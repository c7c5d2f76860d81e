"""How thick the material is and how wide its gaps are, by rays along the normals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cadml_plugins.features.shape._surface import SAMPLES, Floats, Surface, bins, shares

TESTS = 1_000_000
FEWEST, MOST = 24, 256
_CHUNK = 4096
_NEAR = 1e-4
"""Units within which a ray meets the facet it starts from, or one beside it."""
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


def ray_block(surface: Surface) -> Floats:
    """Return figures of the distances to the next facet inwards and outwards, (48,)."""
    count = int(np.clip(TESTS // len(surface.triangles), FEWEST, MOST))
    chosen = ((np.arange(count) + 0.5) * (SAMPLES / count)).astype(np.int64)
    inwards, outwards = _distances(surface, surface.points[chosen], surface.point_normals[chosen])
    thick = np.log10(inwards[np.isfinite(inwards)])
    gaps = np.log10(outwards[np.isfinite(outwards)])
    scale = np.log10(surface.unit)
    quantiles = np.quantile(thick, _QUANTILES) if len(thick) else np.zeros(len(_QUANTILES))
    return np.array(
        [
            *shares(bins(thick, -2.5, 0.0, 16), 16),
            *shares(bins(thick + scale, -1.5, 3.0, 16), 16),
            *shares(bins(gaps, -2.5, 0.0, 8), 8),
            *quantiles,
            thick.std() if len(thick) else 0.0,
            len(thick) / count,
            len(gaps) / count,
        ]
    )


def _distances(surface: Surface, origins: Floats, directions: Floats) -> tuple[Floats, Floats]:
    """Return the distance to the next facet against and along each direction, infinite where there is none.

    A line passes through a triangle where it passes all three sides on the same hand, which products of
    Plücker coordinates tell for both directions at once.
    """
    lines = np.hstack([directions, np.cross(origins, directions)]).astype(np.float32)
    inwards, outwards = np.full(len(origins), np.inf), np.full(len(origins), np.inf)
    for start in range(0, len(surface.triangles), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        corners = surface.vertices[surface.triangles[chunk]]
        ray, facet = np.nonzero(_pass(lines, corners))
        normals = surface.normals[chunk][facet]
        towards = np.einsum("ij,ij->i", directions[ray], normals)
        gap = np.einsum("ij,ij->i", corners[facet, 0] - origins[ray], normals)
        steep = np.abs(towards) > 1e-9
        distance = np.divide(gap, towards, out=np.zeros_like(gap), where=steep)
        ahead, behind = distance > _NEAR, distance < -_NEAR
        np.minimum.at(outwards, ray[ahead], distance[ahead])
        np.minimum.at(inwards, ray[behind], -distance[behind])
    return inwards, outwards


def _pass(lines: NDArray[np.float32], corners: Floats) -> NDArray[np.bool_]:
    """Return which lines, (r, 6), pass through which triangles, (m, 3, 3), as (r, m)."""
    sides = []
    for corner in range(3):
        a, b = corners[:, corner], corners[:, (corner + 1) % 3]
        edge = np.hstack([np.cross(a, b), b - a]).astype(np.float32)
        sides.append(lines @ edge.T)
    one, two, three = sides
    hit: NDArray[np.bool_] = (np.minimum(np.minimum(one, two), three) >= 0) | (
        np.maximum(np.maximum(one, two), three) <= 0
    )
    return hit
