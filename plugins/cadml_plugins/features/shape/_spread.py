"""How the points of a surface lie to one another and about its middle, whatever way it is turned."""

from __future__ import annotations

import numpy as np

from cadml_plugins.features.shape._surface import Floats, Surface, bins, shares

SHELLS, DEGREES = 10, 9
_OFFSETS = (1237, 2731, 3593, 4099)
"""Each point is paired with those so many places on; no two are alike or opposite modulo the samples."""


def pair_block(surface: Surface) -> Floats:
    """Return histograms of pairs of points with normals, (153,): 81 joint and 72 by single figures.

    The figures are the distance, the angles of both normals to the connecting line, ordered, and the angle
    between the normals (E. Wahl, U. Hillenbrand and G. Hirzinger, "Surflet-pair-relation histograms", 2003).
    """
    points = np.ascontiguousarray(surface.points.T)
    normals = np.ascontiguousarray(surface.point_normals.T)
    pairs = [_pairs(points, normals, offset) for offset in _OFFSETS]
    distance, one, other, between = (np.concatenate(column) for column in zip(*pairs, strict=True))
    low, high = np.minimum(one, other), np.maximum(one, other)
    joint = bins(distance, 0.1, 0.7, 3)
    for figure in (low, high, between):
        joint = joint * 3 + (figure > -1 / 3) + (figure > 1 / 3)
    return np.concatenate(
        [
            shares(joint, 81),
            shares(bins(distance, 0.0, 1.0, 21), 21),
            # An odd number: right angles, which are frequent, lie within a bin and not between two.
            *(shares(bins(figure, -1.0, 1.0, 17), 17) for figure in (low, high, between)),
        ]
    )


def _pairs(points: Floats, normals: Floats, offset: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Return distance, the cosines of both normals to the line, and that between them; columns are points."""
    partners = np.roll(normals, -offset, axis=1)
    along = np.roll(points, -offset, axis=1) - points
    distance = np.sqrt(np.einsum("in,in->n", along, along))
    along /= np.maximum(distance, 1e-12)
    one = np.einsum("in,in->n", normals, along)
    other = -np.einsum("in,in->n", partners, along)
    return distance, one, other, np.einsum("in,in->n", normals, partners)


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
    starts = np.searchsorted(shell[order], np.arange(SHELLS))
    filled = np.bincount(shell, minlength=SHELLS) > 0
    degrees, waves = _harmonics(directions)
    summed = np.zeros((len(waves), SHELLS))
    summed[:, filled] = np.add.reduceat(waves, starts[filled], axis=1)
    energy = np.zeros((SHELLS, DEGREES))
    np.add.at(energy.T, degrees, summed**2)
    return (np.sqrt(energy) / len(directions)).ravel()


def _harmonics(directions: Floats) -> tuple[list[int], Floats]:
    """Return the degrees of the orthonormal real harmonics, and their values in directions, (81, n)."""
    z = directions[:, 2]
    turning = directions[:, 0] + 1j * directions[:, 1]
    waves = np.empty((DEGREES**2, len(z)))
    degrees: list[int] = []
    wave = np.ones(len(z), np.complex128)
    sectoral = 1.0  # (2 m - 1)!!
    for m in range(DEGREES):
        before, current = np.zeros_like(z), np.full_like(z, sectoral)
        for degree in range(m, DEGREES):
            if degree > m:
                following = ((2 * degree - 1) * z * current - (degree + m - 1) * before) / (degree - m)
                before, current = current, following
            scaled = _scale(degree, m) * current
            for part in (wave.real, wave.imag) if m else (wave.real,):
                np.multiply(scaled, part, out=waves[len(degrees)])
                degrees.append(degree)
        wave = wave * turning
        sectoral *= 2 * m + 1
    return degrees, waves


def _scale(degree: int, m: int) -> float:
    product = 1.0
    for factor in range(degree - m + 1, degree + m + 1):
        product *= factor
    return float(np.sqrt((2 * degree + 1) / product * (2.0 if m else 1.0)))
