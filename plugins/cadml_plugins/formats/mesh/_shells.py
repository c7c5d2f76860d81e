"""The closed shells of a mesh: which are solids, which walls of cavities, and which are inside out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cadml_plugins.formats.mesh._facets import Facets

_CANCELLED = 1e-6
"""A smaller sum of volumes, relative to those of the shells, does not tell which way most of them face."""
_MOST_PAIRS = 20_000_000
"""Shells that are compared one by one; beyond, only with the largest."""


class Shells(NamedTuple):
    """The closed shells of a mesh."""

    solids: int
    """Those that face the way most of the volume does."""
    astray: NDArray[np.int64]
    """The facets of those that face the other way, and lie in no solid whose cavity they could be."""
    inside_out: int
    """How many shells that are."""
    overlapping: bool
    """Whether the boxes of two solids have space in common, so that the solids may have."""


def closed_shells(
    facets: Facets, labels: NDArray[np.int64], roots: NDArray[np.int64], numbers: NDArray[np.int64] | None
) -> Shells:
    """Examine the closed components of a mesh.

    Args:
        facets: n.
        labels: int64 (n,): the component of each facet.
        roots: int64 (k,), ascending: the components that are closed.
        numbers: int64 (n,): what the facets are called in ``Shells.astray``; None where it is 0 to n - 1.
    """
    if not len(roots):
        return Shells(0, np.empty(0, np.int64), 0, False)
    volumes = _volumes(facets, labels)[roots]
    total, whole = volumes.sum(), np.abs(volumes).sum()
    outwards = 1.0 if total > -_CANCELLED * whole else -1.0
    solid, other = volumes * outwards > 0, volumes * outwards < 0
    if len(roots) == 1:
        return Shells(int(solid.sum()), np.empty(0, np.int64), 0, False)
    low, high = _boxes(facets.corners, labels, roots)
    astray = np.flatnonzero(other)[~_within(low, high, other, solid, np.abs(volumes))]
    at = np.flatnonzero(np.isin(labels, roots[astray]))
    called = at if numbers is None else numbers[at]
    return Shells(int(solid.sum()), called, len(astray), _overlap(low[solid], high[solid]))


def _volumes(facets: Facets, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return six times the signed volume of each component, at the index of its root."""
    # About the first corner, so that a mesh far from the origin loses no digits.
    places = facets.corners[:, 0] - facets.corners[0, 0]
    determinants = np.einsum("ij,ij->i", places, facets.normals)
    return np.asarray(np.bincount(labels, determinants, minlength=len(labels)), dtype=np.float64)


def _boxes(
    corners: NDArray[np.float64], labels: NDArray[np.int64], roots: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lowest and highest corners of components, (k, 3) each."""
    order = np.argsort(labels, kind="stable")
    first = np.flatnonzero(np.diff(labels[order], prepend=-1))
    wanted = np.isin(labels[order][first], roots)
    low = np.minimum.reduceat(corners.min(axis=1)[order], first)[wanted]
    high = np.maximum.reduceat(corners.max(axis=1)[order], first)[wanted]
    return low, high


def _within(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    inner: NDArray[np.bool_],
    outer: NDArray[np.bool_],
    sizes: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Tell of each inner shell whether its box lies in that of an outer one."""
    holders = np.flatnonzero(outer)
    if len(holders) * int(inner.sum()) > _MOST_PAIRS:
        holders = holders[[int(np.argmax(sizes[holders]))]]
    found = [
        bool(((low[holders] <= low[shell]) & (high[shell] <= high[holders])).all(axis=1).any())
        for shell in np.flatnonzero(inner)
    ]
    return np.array(found, dtype=bool)


def _overlap(low: NDArray[np.float64], high: NDArray[np.float64]) -> bool:
    """Tell whether any two boxes have space in common; always true of too many to compare."""
    if len(low) ** 2 > _MOST_PAIRS:
        return True
    for number in range(len(low) - 1):
        rest = slice(number + 1, None)
        if ((low[rest] < high[number]) & (low[number] < high[rest])).all(axis=1).any():
            return True
    return False
