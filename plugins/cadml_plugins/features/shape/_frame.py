"""A frame for each surface that follows it when it is turned: the tightest box among few candidates."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cadml_plugins.features.shape._surface import Floats, Surface

CLUSTERS, DIRECTIONS = 4, 8
_ALIKE = np.cos(np.radians(4.0))
_SQUARE = np.sin(np.radians(4.0))
_TIE = 1e-6
"""A later candidate must have a box smaller by more than this share of it."""


Directions = list[tuple[Floats, float]]


def frame_of(surface: Surface, directions: Directions) -> Floats:
    """Return the axes, the rows of a rotation (3, 3), by descending extent of the surface.

    Candidates are the principal axes of the surface, and the directions that the most area faces, each with
    the best direction square to it, or else with the principal axes of what is square to it. The signs of
    the axes mean nothing.
    """
    corners = surface.corners
    best, least = np.eye(3), np.inf
    for axes in _candidates(surface, directions[:CLUSTERS]):
        extents = np.ptp(corners @ axes.T, axis=0)
        # The sum separates boxes of plates that have no thickness.
        size = float(np.prod(extents) + 1e-3 * np.prod(np.sort(extents)[1:]))
        if size < least * (1 - _TIE) or least == np.inf:
            order = np.argsort(-np.round(extents, 9), kind="stable")
            best, least = axes[order], size
    if np.linalg.det(best) < 0.0:
        best = best * np.array([[1.0], [1.0], [-1.0]])
    return best


def _candidates(surface: Surface, directions: Directions) -> Iterator[Floats]:
    yield _principal(surface.points)
    for number, (direction, _) in enumerate(directions):
        for other, _ in directions[:number] + directions[number + 1 :]:
            if abs(float(direction @ other)) < _SQUARE:
                yield _completed(direction, other)
        yield _about(direction, surface.points)


def facing(surface: Surface) -> Directions:
    """Return up to eight directions, up to their sign, that much area faces, each with its share."""
    normals = surface.point_normals[::4]
    left = np.ones(len(normals), bool)
    found = []
    for _ in range(DIRECTIONS):
        if not left.any():
            break
        seed = _busiest(normals[left])
        alike = left & (np.abs(normals @ seed) > _ALIKE)
        towards = normals[alike] * np.sign(normals[alike] @ seed)[:, None]
        mean = towards.sum(axis=0)
        length = float(np.linalg.norm(mean))
        found.append((mean / length if length > 0.0 else seed, float(alike.mean())))
        left &= ~alike
    return found


def _busiest(normals: Floats) -> Floats:
    """Return a normal of those that most others equal, up to the sign."""
    candidates = normals[:: max(1, len(normals) // 64)]
    alike = np.abs(candidates @ normals.T) > _ALIKE
    seed: Floats = candidates[int(np.argmax(alike.sum(axis=1)))]
    return seed


def _completed(first: Floats, second: Floats) -> Floats:
    second = second - first * float(first @ second)
    second = second / np.linalg.norm(second)
    return np.stack([first, second, np.cross(first, second)])


def _about(axis: Floats, points: Floats) -> Floats:
    """Return the axis and the principal axes of the points seen along it."""
    helper = np.eye(3)[int(np.argmin(np.abs(axis)))]
    flat = _completed(axis, helper)
    seen = points @ flat[1:].T
    _, turned = np.linalg.eigh(_spread(seen))
    return np.vstack([flat[:1], turned.T @ flat[1:]])


def _principal(points: Floats) -> Floats:
    _, axes = np.linalg.eigh(_spread(points))
    return np.ascontiguousarray(axes.T[::-1])


def _spread(points: Floats) -> Floats:
    about = points - points.mean(axis=0)
    spread: Floats = np.einsum("ni,nj->ij", about, about) / len(points)
    return spread
