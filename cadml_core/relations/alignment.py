"""Aligning two meshes: motions between their frames of inertia, refined by the nearest facets."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cadml_core.relations.surfaces import Surface

Array = NDArray[np.float64]

_SAMPLES, _FEWER = 300, 100
"""Places by which a motion is tried; fewer where many are."""
_TIE = 0.02
"""Relative difference of two moments below which they fix no axes."""
_STEPS = 180
"""Turns about the axis that is left where two moments tie."""
_KEPT, _ROUNDS, _CORNERS = 3, 20, 500
"""Motions that are refined, how often, and by how many corners."""
_DIRECTIONS = 8
"""Most common directions of normals that are tried where all moments tie."""


def align(a: Surface, b: Surface, *, improper: bool) -> tuple[Array, float]:
    """Return the motion of one hand, 4 x 4, that brings the first mesh closest, and the distance left.

    The second mesh should be the more exact one.
    """
    rotations = [turn for turn in _trials(a, b) if (np.linalg.det(turn) < 0.0) == improper]
    samples, _ = a.samples(_SAMPLES if len(rotations) < _STEPS else _FEWER)
    centred = samples - a.moments[1]
    scores = [float(b.nearest(centred @ turn.T + b.moments[1])[0].mean()) for turn in rotations]
    step = -(-len(a.mesh.vertices) // _CORNERS)
    # Corners lie on the surface whatever the chord error of the facets.
    source = a.mesh.vertices[::step]
    judged = np.concatenate([source, samples])
    best, least = np.eye(4), math.inf
    for index in np.argsort(scores, kind="stable")[:_KEPT].tolist():
        motion = np.eye(4)
        motion[:3, :3] = rotations[index]
        motion[:3, 3] = b.moments[1] - motion[:3, :3] @ a.moments[1]
        motion = refined(source, b, motion)
        # Places between corners as well: turned over, the corners of a hole may lie on a plane face.
        error = float(b.nearest(judged @ motion[:3, :3].T + motion[:3, 3])[0].max())
        if error < least:
            best, least = motion, error
    return best, least


def _trials(a: Surface, b: Surface) -> list[Array]:
    """Return rotations of both hands between the frames of inertia."""
    (first, own), (second, other) = (np.linalg.eigh(surface.moments[2]) for surface in (a, b))
    values = (first + second) / 2.0
    low, high = ((values[k + 1] - values[k]) < _TIE * values[2] for k in (0, 1))
    if low and high:
        return _by_normals(a, b)
    flips = [np.diag([x, y, z]) for x in (1.0, -1.0) for y in (1.0, -1.0) for z in (1.0, -1.0)]
    if not (low or high):
        return [other @ flip @ own.T for flip in flips]
    axis = 2 if low else 0
    turns = [_about(axis, 2.0 * math.pi * step / _STEPS) for step in range(_STEPS)]
    # Of the flips, those along the axis and one across: the others are turns of these.
    chosen = [flip for flip in flips if (flip.diagonal()[[k for k in range(3) if k != axis]] > 0.0).all()]
    across = np.eye(3)
    across[1, 1] = -1.0
    sides = [flip @ side for flip in chosen for side in (np.eye(3), across)]
    return [other @ side @ turn @ own.T for side in sides for turn in turns]


def _about(axis: int, angle: float) -> Array:
    turn = np.eye(3)
    one, other = [index for index in range(3) if index != axis]
    turn[one, one] = turn[other, other] = math.cos(angle)
    turn[one, other], turn[other, one] = -math.sin(angle), math.sin(angle)
    return turn


def _by_normals(a: Surface, b: Surface) -> list[Array]:
    """Return rotations that take two common directions of normals to two others at the same angle."""
    ours, theirs = _directions(a), _directions(b)
    pair = next(((x, y) for x in ours for y in ours if np.linalg.norm(np.cross(x, y)) > 0.3), None)
    if pair is None:
        return [np.eye(3), -np.eye(3)]
    frame, found = _frame(*pair), []
    for x in theirs:
        for y in theirs:
            if abs(float(x @ y - pair[0] @ pair[1])) < 0.05 and np.linalg.norm(np.cross(x, y)) > 0.25:
                target = _frame(x, y)
                found += [target @ frame.T, target @ np.diag([1.0, 1.0, -1.0]) @ frame.T]
    return found or [np.eye(3), -np.eye(3)]


def _directions(surface: Surface) -> list[Array]:
    """Return the directions that most of the area faces, at most ``_DIRECTIONS``."""
    _, group = np.unique(np.round(surface.normals * 10.0), axis=0, return_inverse=True)
    group = group.ravel()
    areas = np.bincount(group, surface.areas)
    found = []
    for index in np.argsort(-areas, kind="stable")[:_DIRECTIONS].tolist():
        chosen = group == index
        mean = surface.areas[chosen] @ surface.normals[chosen]
        if (length := float(np.linalg.norm(mean))) > 0.0:
            found.append(mean / length)
    return found


def _frame(first: Array, second: Array) -> Array:
    z = np.cross(first, second)
    z /= np.linalg.norm(z)
    return np.column_stack([first, np.cross(z, first), z])


def refined(source: Array, b: Surface, motion: Array) -> Array:
    """Move closer by the distances to the nearest facets' planes, after Chen and Medioni (1992)."""
    unit = b.length
    for _ in range(_ROUNDS):
        places = source @ motion[:3, :3].T + motion[:3, 3]
        _, facets, nearest = b.nearest(places)
        normals = b.normals[facets]
        rows = np.hstack([np.cross((places - b.moments[1]) / unit, normals), normals])
        gaps = np.einsum("ij,ij->i", nearest - places, normals) / unit
        step, *_ = np.linalg.lstsq(rows, gaps, rcond=1e-6)
        motion = _step(step, b.moments[1], unit) @ motion
        if float(np.abs(step).max()) < 1e-8:
            break
    return motion


def _step(step: Array, centre: Array, unit: float) -> Array:
    """Return the motion by a small turn about a centre and a shift."""
    angle = float(np.linalg.norm(step[:3]))
    motion = np.eye(4)
    if angle > 0.0:
        x, y, z = step[:3] / angle
        cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
        motion[:3, :3] += math.sin(angle) * cross + (1.0 - math.cos(angle)) * cross @ cross
    motion[:3, 3] = centre - motion[:3, :3] @ centre + step[3:] * unit
    return motion
