"""Proportions, sizes, edges and flat faces of a surface."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cadml_plugins.features.shape._frame import DIRECTIONS, Directions
from cadml_plugins.features.shape._surface import Floats, Surface, bins, entropy, shares

_WELD = 1e-5
_TINY = 1e-12
_FLAT = 2e-3
"""Radians between facets of one flat face."""
_SHARP = 0.35
"""Radians from which an edge is one of the part and not of its facets."""
_ANGLES = np.array([-1.8, -1.4, -0.9, -0.35, -0.05, -_FLAT, _FLAT, 0.05, 0.35, 0.9, 1.4, 1.8, 2.6])
_ROUNDS = 60


def sizes(surface: Surface, placed: Floats) -> Floats:
    """Return log10 of extents, area, volume and unit in mm, and of the volume over the area: (7,)."""
    scale = np.log10(surface.unit)
    extents = np.ptp(placed, axis=0)
    lengths = np.log10(np.maximum(extents, 1e-6)) + scale
    area = np.log10(surface.area) / 2 + scale
    volume = np.log10(max(surface.volume, _TINY)) / 3 + scale
    return np.array([*lengths, area, volume, scale, volume - area])


def ratios(surface: Surface, placed: Floats, frame: Floats) -> Floats:
    """Return figures that do not depend on size, (34,)."""
    extents = np.maximum(np.ptp(placed, axis=0), 1e-6)
    box = float(np.prod(extents))
    faces = 2 * float(extents[0] * extents[1] + extents[1] * extents[2] + extents[0] * extents[2])
    points = surface.points @ frame.T
    centred = points - points.mean(axis=0)
    spread = np.maximum(centred.std(axis=0), 1e-6)
    standard = centred / spread
    squares = standard * standard
    moments = np.linalg.eigvalsh(np.einsum("ni,nj->ij", centred, centred) / len(centred))[::-1]
    moments = np.sqrt(np.maximum(moments, 0.0))
    normals = surface.point_normals @ frame.T
    directions = np.linalg.eigvalsh(np.einsum("ni,nj->ij", normals, normals) / len(normals))[::-1]
    radius = np.sqrt(np.einsum("ij,ij->i", centred, centred))
    middle = (placed.min(axis=0) + placed.max(axis=0)) / 2
    return np.array(
        [
            *(extents[1:] / extents[0]),
            extents[2] / extents[1],
            np.log(max(surface.volume, _TINY) / box + 1e-3),
            np.log(surface.area / faces),
            surface.volume ** (1 / 3) / np.sqrt(surface.area),
            *extents,
            *moments,
            *(moments[1:] / max(moments[0], 1e-9)),
            *(spread / extents),
            *directions,
            *(normals**2).mean(axis=0),
            *np.clip((squares * squares).mean(axis=0), 0.0, 12.0),
            *np.clip(np.abs((squares * standard).mean(axis=0)), 0.0, 6.0),
            *np.abs(points.mean(axis=0) - middle),
            radius.mean(),
            radius.std(),
        ]
    )


class Edges:
    """The edges that two facets share.

    ``angles`` (e,) are radians between the normals, positive where the edge is convex; ``lengths`` (e,) are
    in units; ``facets`` (e, 2) are the facets that meet.
    """

    def __init__(self, surface: Surface) -> None:
        corners = _welded(surface)
        count = len(surface.triangles)
        starts, ends = corners.T.ravel(), corners[:, [1, 2, 0]].T.ravel()
        width = int(corners.max()) + 1
        keys, reverse = starts * width + ends, ends * width + starts
        order = np.argsort(keys, kind="stable")
        found = np.minimum(np.searchsorted(keys[order], reverse), len(keys) - 1)
        partner = order[found]
        one = np.flatnonzero((keys[partner] == reverse) & (starts < ends))
        other = partner[one]
        self.facets: NDArray[np.int64] = np.stack([one % count, other % count], axis=1)
        begin = surface.triangles.T.ravel()
        along = surface.vertices[np.roll(surface.triangles, -1, axis=1).T.ravel()[one]]
        along = along - surface.vertices[begin[one]]
        self.lengths: Floats = np.sqrt(np.einsum("ij,ij->i", along, along))
        first, second = (surface.normals[column] for column in self.facets.T)
        sine = np.einsum("ij,ij->i", np.cross(first, second), along) / np.maximum(self.lengths, _TINY)
        self.angles: Floats = np.arctan2(sine, np.einsum("ij,ij->i", first, second))


def _welded(surface: Surface) -> NDArray[np.int64]:
    """Return the triangles by numbers that near vertices share."""
    places = np.round(surface.vertices / _WELD).astype(np.int64) + (1 << 19)
    keys = (places[:, 0] << 40) | (places[:, 1] << 20) | places[:, 2]
    _, numbers = np.unique(keys, return_inverse=True)
    welded: NDArray[np.int64] = numbers.reshape(-1)[surface.triangles]
    return welded


def edge_block(edges: Edges) -> Floats:
    """Return how long edges of each angle are, and how long sharp ones are, (30,)."""
    classes = np.searchsorted(_ANGLES, edges.angles)
    lengths = np.where(np.abs(edges.angles) > _FLAT, edges.lengths, 0.0)
    sharp = np.abs(edges.angles) > _SHARP
    convex = edges.lengths[sharp & (edges.angles > 0.0)]
    concave = edges.lengths[sharp & (edges.angles < 0.0)]
    long = bins(np.log10(np.maximum(edges.lengths[sharp], 1e-6)), -2.5, 0.0, 7)
    bent = np.abs(edges.angles[~sharp])
    bent = np.where(bent > _FLAT, bent, 0.0)
    gently = bins(bent, 0.0, _SHARP, 4)
    return np.array(
        [
            *shares(classes, 14, lengths),
            *shares(long, 7, edges.lengths[sharp]),
            *shares(gently, 4, edges.lengths[~sharp] * bent),
            np.log10(convex.sum() + 1e-2),
            np.log10(concave.sum() + 1e-2),
            concave.sum() / max(convex.sum() + concave.sum(), _TINY),
            np.log10((edges.lengths * edges.angles).clip(0.0).sum() + 1e-2),
            np.log10((edges.lengths * -edges.angles).clip(0.0).sum() + 1e-2),
        ]
    )


def plane_block(surface: Surface, edges: Edges, found: Directions) -> Floats:
    """Return how the area is spread over flat faces and over directions, (22,)."""
    faces = shares(_flat_faces(surface, edges), 1, surface.areas)
    largest = np.zeros(10)
    ordered = np.sort(faces)[::-1]
    largest[: min(10, len(ordered))] = ordered[:10]
    directions = np.zeros(DIRECTIONS)
    directions[: len(found)] = [share for _, share in found]
    rest = max(1.0 - float(directions.sum()), 0.0)
    large = faces[faces > 0.01]
    return np.array(
        [
            *largest,
            *directions,
            entropy(faces),
            entropy(np.append(directions, rest)),
            np.log1p(len(large)),
            float(large.sum()),
        ]
    )


def _flat_faces(surface: Surface, edges: Edges) -> NDArray[np.int64]:
    """Return the flat face that each facet belongs to: facets that meet without a bend are one."""
    faces = np.arange(len(surface.triangles))
    joined = edges.facets[np.abs(edges.angles) < _FLAT]
    if not len(joined):
        return faces
    one, other = joined.T
    for _ in range(_ROUNDS):
        before = faces.copy()
        least = np.minimum(faces[one], faces[other])
        np.minimum.at(faces, faces[one], least)
        np.minimum.at(faces, faces[other], least)
        faces = faces[faces]
        if np.array_equal(before, faces):
            break
    return faces
