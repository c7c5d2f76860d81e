"""Figures of a boundary representation: kinds of faces and edges, convexity, radii, and what meets what."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cadml_core import CURVE_KINDS, SURFACE_KINDS, Boundary
from cadml_plugins.features.shape._surface import Floats, bins, shares

WIDTH = 263
_BUCKETS = 64
_FLAT, _TURN = 0.02, 14
_DEGREES = 11
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
"""Constants of splitmix64 (S. Vigna), which spreads small numbers over 64 bits."""

Codes = NDArray[np.uint64]


def boundary_block(boundary: Boundary, unit: float, bodies: tuple[int, int]) -> Floats:
    """Return the figures of a boundary, (263,).

    Args:
        boundary: At least one face.
        unit: Length that sizes are told in, mm; above 0.
        bodies: How many solids and shells there are.
    """
    angles = np.nan_to_num(boundary.edge_angles)
    known = np.isfinite(boundary.edge_angles)
    # An odd number of bins has smooth edges within one; the last is for edges without an angle.
    turns = np.where(known, bins(angles, -np.pi * 0.75, np.pi * 0.75, _TURN - 1), _TURN - 1)
    lengths = np.minimum(boundary.edge_lengths / unit, 1e3)
    faces, edges = len(SURFACE_KINDS), len(CURVE_KINDS)
    degree = _degrees(boundary)
    return np.concatenate(
        [
            shares(boundary.face_kinds, faces, boundary.face_areas),
            shares(boundary.face_kinds, faces),
            shares(boundary.edge_kinds, edges, lengths),
            shares(boundary.edge_kinds, edges),
            shares(turns, _TURN, lengths),
            shares(turns, _TURN),
            _counts(boundary, angles, bodies),
            _radii(boundary, unit),
            _areas(boundary),
            shares(np.minimum(degree, _DEGREES - 1), _DEGREES),
            *_neighbourhoods(boundary, angles),
        ]
    )


def _counts(boundary: Boundary, angles: Floats, bodies: tuple[int, int]) -> Floats:
    curved = boundary.face_radii > 0.0
    holes = boundary.face_concave & (boundary.face_kinds == SURFACE_KINDS.index("cylinder"))
    inner = np.maximum(boundary.face_wires - 1, 0)
    radii = np.unique(np.round(np.log(boundary.face_radii[curved]) / 1e-3))
    return np.log1p(
        np.array(
            [
                len(boundary.face_kinds),
                len(boundary.edge_kinds),
                boundary.vertices,
                *bodies,
                holes.sum(),
                inner.sum(),
                inner.max(initial=0),
                len(radii),
                (angles > _FLAT).sum(),
                (angles < -_FLAT).sum(),
                (np.abs(angles) <= _FLAT).sum(),
            ],
            np.float64,
        )
    )


def _radii(boundary: Boundary, unit: float) -> Floats:
    """Return the shares of area by radius over the unit, convex and concave, (26,)."""
    curved = boundary.face_radii > 0.0
    places = bins(np.log10(np.where(curved, boundary.face_radii, unit) / unit), -2.6, 0.0, 13)
    total = max(float(boundary.face_areas.sum()), 1e-300)
    parts = [
        np.bincount(places, boundary.face_areas * chosen, minlength=13) / total
        for chosen in (curved & ~boundary.face_concave, curved & boundary.face_concave)
    ]
    return np.concatenate(parts)


def _areas(boundary: Boundary) -> Floats:
    """Return how many faces have what share of the area, and the eight largest shares, (18,)."""
    total = float(boundary.face_areas.sum())
    portions = boundary.face_areas / total if total > 0.0 else boundary.face_areas
    largest = np.zeros(8)
    ordered = np.sort(portions)[::-1][:8]
    largest[: len(ordered)] = ordered
    return np.concatenate([shares(bins(np.log10(np.maximum(portions, 1e-9)), -4.0, 0.0, 10), 10), largest])


def _degrees(boundary: Boundary) -> NDArray[np.int64]:
    """Return how many edges each face has with other faces."""
    one, other = boundary.edge_faces.T
    between = (other >= 0) & (one != other)
    ends = np.concatenate([one[between], other[between]])
    return np.bincount(ends, minlength=len(boundary.face_kinds))


def _neighbourhoods(boundary: Boundary, angles: Floats) -> list[Floats]:
    """Return shares of faces by what surrounds them within one and within two edges, 64 each.

    Weisfeiler and Lehman's refinement (N. Shervashidze and others, "Weisfeiler-Lehman graph kernels", 2011):
    the label of a face and those of its neighbours, with the kind and bend of the edge between, are hashed.
    """
    one, other = boundary.edge_faces.T
    inside = other >= 0
    one, other = one[inside], other[inside]
    bend = np.where(angles > _FLAT, 2, np.where(angles < -_FLAT, 1, 0))[inside]
    between = _mixed((boundary.edge_kinds[inside] * 3 + bend + 1).astype(np.uint64))
    labels = _mixed((boundary.face_kinds * 2 + boundary.face_concave + 1000).astype(np.uint64))
    found = []
    for _ in range(2):
        around = np.zeros(len(labels), np.uint64)
        # Sums do not depend on the order of edges.
        np.add.at(around, one, _mixed(labels[other] ^ between))
        np.add.at(around, other, _mixed(labels[one] ^ between))
        labels = _mixed(labels + _mixed(around) * np.uint64(3))
        found.append(shares((labels % np.uint64(_BUCKETS)).astype(np.int64), _BUCKETS))
    return found


def _mixed(values: Codes) -> Codes:
    values = values + _MIX[0]
    values = (values ^ (values >> np.uint64(30))) * _MIX[1]
    values = (values ^ (values >> np.uint64(27))) * _MIX[2]
    return values ^ (values >> np.uint64(31))
