"""A part's own axes, which follow it when it is turned and tell it from its mirror image.

The axes are those of the tightest box among few candidates: the directions that the most area faces, and the
principal axes. The longest extent lies to the right, the shortest upwards. Which ends are which is decided by
where the area lies, in turn: by its skewness along each axis, then by what couples two axes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cadml_core import FloatMatrix, FloatVector, TriangleMesh

_ALIKE = np.cos(np.radians(2.0))
_SQUARE = np.sin(np.radians(2.0))
_FACING = 0.03
"""The least share of the area that makes a direction a candidate."""
_DIRECTIONS, _SEEDS = 5, 48
_TIE = 1e-3
_SAME_LENGTH = 0.004
"""Relative difference of extents below which their order is undecided."""
_SAME_MOMENT = 0.01


def own_axes(mesh: TriangleMesh) -> FloatMatrix:
    """Return the part's axes, the rows of a rotation (3, 3): longest, middle, shortest extent."""
    corners = mesh.vertices[mesh.triangles]
    crossed = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas = np.linalg.norm(crossed, axis=1)
    if not areas.sum() > 0.0:
        return np.eye(3)
    normals = crossed / np.where(areas > 0.0, areas, 1.0)[:, None]
    weights = areas / areas.sum()
    places = corners.mean(axis=1)
    # Second moments of facets, not of their middles: a plane of two large facets has no other extent.
    spread = np.einsum("m,mcj,mck->jk", weights, corners, corners) + 9.0 * np.einsum(
        "m,mj,mk->jk", weights, places, places
    )
    centre = weights @ places
    spread = spread / 12.0 - np.outer(centre, centre)
    boxes = _tightest(mesh.vertices, spread, _facing(normals, weights))
    return _oriented(boxes, mesh.vertices, corners - centre, weights)


def _facing(normals: FloatMatrix, weights: FloatVector) -> list[FloatVector]:
    """Return directions, up to their sign, that much of the area faces."""
    codes = np.rint(normals * 64.0).astype(np.int64)
    codes *= np.where(codes @ np.array([1, 3, 9]) < 0, -1, 1)[:, None]
    _, group = np.unique(codes @ np.array([1, 256, 65_536]), return_inverse=True)
    group = group.ravel()
    shares = np.bincount(group, weights)
    top = np.argsort(-shares, kind="stable")[: 4 * _SEEDS]
    signs = np.where(codes @ np.array([1, 3, 9]) < 0, -1.0, 1.0)
    flipped = normals * np.where(np.einsum("ij,ij->i", codes, normals) < 0.0, -1.0, 1.0)[:, None]
    means = np.column_stack([np.bincount(group, weights * flipped[:, k] * signs) for k in range(3)])[top]
    lengths = np.linalg.norm(means, axis=1)
    means, shares = means[lengths > 0.0], shares[top][lengths > 0.0]
    means /= np.linalg.norm(means, axis=1)[:, None]
    found: list[FloatVector] = []
    left = np.ones(len(means), bool)
    for _ in range(_DIRECTIONS):
        if not left.any():
            break
        cosines = means[left][:_SEEDS] @ means[left].T
        scores = (np.abs(cosines) > _ALIKE) @ shares[left]
        best = int(np.argmax(scores))
        if scores[best] < _FACING:
            break
        close = np.abs(cosines[best]) > _ALIKE
        mean = (shares[left][close] * np.sign(cosines[best][close])) @ means[left][close]
        found.append(mean / np.linalg.norm(mean))
        left[np.flatnonzero(left)[close]] = False
    return found


def _tightest(vertices: FloatMatrix, spread: FloatMatrix, facing: list[FloatVector]) -> list[FloatMatrix]:
    """Return the axes of the tightest boxes: one, or several that are as tight."""
    found: list[tuple[float, FloatMatrix]] = []
    for axes in _candidates(spread, facing):
        extents = np.ptp(vertices @ axes.T, axis=0)
        # The sum separates boxes of plates that have no thickness.
        found.append((float(np.prod(extents) + 1e-3 * np.prod(np.sort(extents)[1:])), axes))
    least = min(size for size, _ in found)
    return [axes for size, axes in found if size <= least * (1.0 + _TIE)]


def _candidates(spread: FloatMatrix, facing: list[FloatVector]) -> Iterator[FloatMatrix]:
    for number, first in enumerate(facing):
        for second in facing[number + 1 :]:
            if abs(float(first @ second)) < _SQUARE:
                square = second - first * float(first @ second)
                square /= np.linalg.norm(square)
                yield np.stack([first, square, np.cross(first, square)])
    _, axes = np.linalg.eigh(spread)
    yield axes.T
    for first in facing:
        helper = np.eye(3)[int(np.argmin(np.abs(first)))]
        one = np.cross(first, helper)
        one /= np.linalg.norm(one)
        flat = np.stack([one, np.cross(first, one)])
        _, turned = np.linalg.eigh(flat @ spread @ flat.T)
        yield np.vstack([first, turned.T @ flat])


def _oriented(
    boxes: list[FloatMatrix], vertices: FloatMatrix, corners: NDArray[np.float64], weights: FloatVector
) -> FloatMatrix:
    """Return the axes in their order and with their signs, as a rotation."""
    length = float(np.linalg.norm(np.ptp(vertices, axis=0))) or 1.0
    turns, sizes = [], []
    for axes in boxes:
        extents = np.ptp(vertices @ axes.T, axis=0) / length
        wanted = np.sort(extents)[::-1]
        for places in itertools.permutations(range(3)):
            if np.abs(extents[list(places)] - wanted).max() > _SAME_LENGTH:
                continue
            for signs in itertools.product((1.0, -1.0), repeat=3):
                turn = axes[list(places)] * np.array(signs)[:, None]
                if np.linalg.det(turn) > 0.0:
                    turns.append(turn)
                    sizes.append(wanted)
    # The middles of a facet's sides stand for it, and weigh it exactly up to the second moments.
    middles = ((corners + np.roll(corners, 1, axis=1)) / 2.0).reshape(-1, 3) / length
    mass = np.repeat(weights / 3.0, 3)
    scores = _moments(np.array(turns), middles, mass)
    kept = np.ones(len(turns), bool)
    for column in np.array(sizes).T:
        kept &= column >= column[kept].max() - _SAME_LENGTH
    for column in scores.T:
        kept &= column >= column[kept].max() - _SAME_MOMENT * (np.abs(column).max() or 1.0) - 1e-7
    best: FloatMatrix = turns[int(np.argmax(kept))]
    return best


def _moments(
    turns: NDArray[np.float64], middles: NDArray[np.float64], mass: FloatVector
) -> NDArray[np.float64]:
    """Return by which turns are told apart, (turns, numbers), from moments that are summed only once."""
    weighted = middles * mass[:, None]
    second = weighted.T @ middles
    pairs = (middles[:, :, None] * middles[:, None, :]).reshape(-1, 9)
    third = (weighted.T @ pairs).reshape(3, 3, 3)
    s = np.einsum("tai,tbj,ij->tab", turns, turns, second)
    t = np.einsum("tai,tbj,tck,ijk->tabc", turns, turns, turns, third, optimize=True)
    x, y, z = 0, 1, 2
    order = [(z, z, z), (x, x, x), (y, y, y), (x, z), (x, y), (y, z), (x, x, z), (y, y, z), (x, x, y)]
    order += [(x, y, y), (x, z, z), (y, z, z), (x, y, z), (x, x)]
    return np.stack([t[:, *key] if len(key) == 3 else s[:, *key] for key in order], axis=1)
