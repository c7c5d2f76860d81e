"""How the points of a surface lie to one another and about its middle, whatever way it is turned."""

from __future__ import annotations

import itertools

import numpy as np

from cadml_plugins.features.shape._surface import SAMPLES, Floats, Surface, bins, shares

SHELLS, DEGREES = 10, 9
_OFFSETS = (1237, 2731, 3593, 4099)
"""Each point is paired with those so many places on; no two are alike or opposite modulo the samples."""


def pair_block(surface: Surface) -> Floats:
    """Return histograms of pairs of points with normals, (153,): 81 joint and 72 by single figures.

    The figures are the distance, the angles of both normals to the connecting line, ordered, and the angle
    between the normals (E. Wahl, U. Hillenbrand and G. Hirzinger, "Surflet-pair-relation histograms", 2003).
    """
    points, normals = surface.points, surface.point_normals
    partner = (np.arange(SAMPLES)[None, :] + np.array(_OFFSETS)[:, None]).ravel() % SAMPLES
    first = np.tile(np.arange(SAMPLES), len(_OFFSETS))
    along = points[partner] - points[first]
    distance = np.sqrt(np.einsum("ij,ij->i", along, along))
    unit = along / np.maximum(distance, 1e-12)[:, None]
    one = np.einsum("ij,ij->i", normals[first], unit)
    other = -np.einsum("ij,ij->i", normals[partner], unit)
    low, high = np.minimum(one, other), np.maximum(one, other)
    between = np.einsum("ij,ij->i", normals[first], normals[partner])
    joint = bins(distance, 0.1, 0.7, 3)
    for figure in (low, high, between):
        joint = joint * 3 + np.searchsorted([-1 / 3, 1 / 3], figure)
    return np.concatenate(
        [
            shares(joint, 81),
            shares(bins(distance, 0.0, 1.0, 21), 21),
            # An odd number: right angles, which are frequent, lie within a bin and not between two.
            *(shares(bins(figure, -1.0, 1.0, 17), 17) for figure in (low, high, between)),
        ]
    )


def distance_block(surface: Surface) -> Floats:
    """Return the histogram of distances from the surface's centroid, in units, (24,)."""
    about = surface.points - surface.points.mean(axis=0)
    return shares(bins(np.sqrt(np.einsum("ij,ij->i", about, about)), 0.0, 0.6, 24), 24)


def harmonic_block(surface: Surface) -> Floats:
    """Return the energy of the surface's directions in each shell and degree, (90,).

    Ten shells about the centroid, spherical harmonics of degrees 0 to 8; the root of the summed squares over
    the orders of one degree does not change with rotation (M. Kazhdan, T. Funkhouser and S. Rusinkiewicz,
    "Rotation invariant spherical harmonic representation of 3D shape descriptors", 2003).
    """
    about = surface.points[::2] - surface.points.mean(axis=0)
    radius = np.sqrt(np.einsum("ij,ij->i", about, about))
    shell = bins(radius, 0.0, max(2.0 * float(radius.mean()), 1e-12), SHELLS)
    order = np.argsort(shell, kind="stable")
    directions = about[order] / np.maximum(radius[order], 1e-12)[:, None]
    ends = np.searchsorted(shell[order], np.arange(SHELLS), side="right")
    spans = list(itertools.pairwise([0, *ends.tolist()]))
    energy = np.zeros((SHELLS, DEGREES))
    for degree, waves in _harmonics(directions):
        summed = np.stack([wave[start:end].sum() for start, end in spans for wave in waves])
        energy[:, degree] += (summed.reshape(SHELLS, -1) ** 2).sum(axis=1)
    return (np.sqrt(energy) / len(directions)).ravel()


def _harmonics(directions: Floats) -> list[tuple[int, Floats]]:
    """Return orthonormal real harmonics by degree: pairs of the degree and (1 or 2, n) of one order."""
    z = directions[:, 2]
    turning = directions[:, 0] + 1j * directions[:, 1]
    found: list[tuple[int, Floats]] = []
    wave = np.ones(len(z), np.complex128)
    sectoral = 1.0  # (2 m - 1)!!
    for m in range(DEGREES):
        before, current = np.zeros_like(z), np.full_like(z, sectoral)
        for degree in range(m, DEGREES):
            if degree > m:
                following = ((2 * degree - 1) * z * current - (degree + m - 1) * before) / (degree - m)
                before, current = current, following
            values = _scale(degree, m) * current * wave
            found.append((degree, values.real[None] if m == 0 else np.stack([values.real, values.imag])))
        wave = wave * turning
        sectoral *= 2 * m + 1
    return found


def _scale(degree: int, m: int) -> float:
    product = 1.0
    for factor in range(degree - m + 1, degree + m + 1):
        product *= factor
    return float(np.sqrt((2 * degree + 1) / product * (2.0 if m else 1.0)))
