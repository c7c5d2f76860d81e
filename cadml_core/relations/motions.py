"""Motions that may take one set of features to another: by two rare features, or by their common axis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cadml_core.relations.congruence import Cloud

Array = NDArray[np.float64]

_FAR = 0.1
"""Distance from the centroid from which a feature fixes a direction well."""
_ASLANT = 0.05
"""Sine of the angle from which two features fix a plane well."""
_UNEVEN = 1e-2
"""Difference of covariances across an axis from which they fix an angle."""
_NOWHERE = np.empty((0, 3, 3))
_FLIP = np.diag([1.0, 1.0, -1.0])


def frame_motions(a: Cloud, b: Cloud, tolerance: float, most: int) -> Array | None:
    """Return the motions by two features off one line through the centroid, (t, 3, 3), both hands.

    None where all features lie on such a line.
    """
    anchors = _anchors(a)
    if anchors is None:
        return None
    first, second = anchors
    starts, ends = (_lookalikes(a, index, b, tolerance) for index in anchors)
    distance = np.linalg.norm(a.points[first] - a.points[second])
    frame = _frame(a.points[first], a.points[second])
    found: list[Array] = []
    for start in starts.tolist():
        gaps = np.linalg.norm(b.points[ends] - b.points[start], axis=1)
        for end in ends[np.abs(gaps - distance) <= 2 * tolerance].tolist():
            if end == start:
                continue
            other = _frame(b.points[start], b.points[end])
            found += [other @ frame.T, other @ _FLIP @ frame.T]
            if len(found) >= most:
                return np.array(found)
    return np.array(found) if found else _NOWHERE


def _anchors(cloud: Cloud) -> tuple[int, int] | None:
    order = np.lexsort((-cloud.radii, cloud.rarity))
    order = order[cloud.radii[order] > _FAR]
    if not len(order):
        return None
    directions = cloud.points[order] / cloud.radii[order, None]
    # The rarest feature may lie on an axis with all other rare ones; then another begins.
    for index in range(min(len(order), 8)):
        sines = np.linalg.norm(np.cross(directions[index], directions), axis=1)
        for limit in (0.3, _ASLANT):
            if len(others := np.flatnonzero(sines > limit)):
                return int(order[index]), int(order[others[0]])
    return None


def _lookalikes(a: Cloud, index: int, b: Cloud, tolerance: float) -> NDArray[np.int64]:
    alike = b.kinds == a.kinds[index]
    for one, other in ((a.radii, b.radii), (a.sizes, b.sizes), (a.spreads, b.spreads)):
        alike &= np.abs(other - one[index]) <= tolerance
    return np.flatnonzero(alike)


def _frame(first: Array, second: Array) -> Array:
    """Return a right-handed frame as columns: along the first place, and towards the second."""
    x = first / np.linalg.norm(first)
    z = np.cross(x, second)
    z /= np.linalg.norm(z)
    return np.column_stack([x, np.cross(z, x), z])


def axis_motions(a: Cloud, b: Cloud, tolerance: float) -> Array:
    """Return the motions between features that all lie on one line, (t, 3, 3), both hands.

    The direction comes from the places, or from the covariance of a face or edge; the angle about it from a
    covariance that is uneven across it. Without either any angle does, and the smallest turn is taken.
    """
    axis, origin = _axis(a)
    if axis is None:
        return np.array([np.eye(3), -np.eye(3)])
    others = _axes_like(a, origin, b, tolerance)
    found: list[Array] = []
    for other in others:
        for sign in (1.0, -1.0):
            found += _about(a, axis, b, sign * other, tolerance)
    return np.array(found) if found else _NOWHERE


def _axis(cloud: Cloud) -> tuple[Array | None, int]:
    """Return the direction of the line, and the feature it is of."""
    order = np.lexsort((-cloud.radii, cloud.rarity))
    far = order[cloud.radii[order] > _FAR]
    if len(far):
        index = int(far[0])
        direction: Array = cloud.points[index] / cloud.radii[index]
        return direction, index
    index = int(np.argmax([_unevenness(tensor) for tensor in cloud.tensors] * cloud.spreads))
    return _odd_direction(cloud.tensors[index]), index


def _axes_like(a: Cloud, index: int, b: Cloud, tolerance: float) -> Iterator[Array]:
    for other in _lookalikes(a, index, b, tolerance).tolist():
        if a.radii[index] > _FAR:
            yield b.points[other] / b.radii[other]
        elif (direction := _odd_direction(b.tensors[other])) is not None:
            yield direction


def _unevenness(tensor: Array) -> float:
    low, middle, high = np.linalg.eigvalsh(tensor).tolist()
    return float(max(high - middle, middle - low))


def _odd_direction(tensor: Array) -> Array | None:
    """Return the axis of the eigenvalue that differs most from the middle one; None where all are equal."""
    values, vectors = np.linalg.eigh(tensor)
    gaps = values[2] - values[1], values[1] - values[0]
    if max(gaps) < _UNEVEN:
        return None
    chosen: Array = vectors[:, 2 if gaps[0] >= gaps[1] else 0]
    return chosen


def _about(a: Cloud, axis: Array, b: Cloud, other: Array, tolerance: float) -> list[Array]:
    """Return the motions that take one axis to the other."""
    across = [_across(tensor, axis) for tensor in a.tensors]
    weights = np.array([0.0 if one is None else one[1] for one in across]) * a.spreads
    index = int(np.argmax(weights))
    chosen = across[index]
    if chosen is None or weights[index] < _UNEVEN * 0.1:
        turn = _shortest(axis, other)
        return [turn, turn @ _mirror(axis)]
    frame = _frame(axis, chosen[0])
    found = []
    for candidate in _lookalikes(a, index, b, tolerance).tolist():
        if (match := _across(b.tensors[candidate], other)) is None:
            continue
        for sign in (1.0, -1.0):
            target = _frame(other, sign * match[0])
            found += [target @ frame.T, target @ _FLIP @ frame.T]
    return found


def _across(tensor: Array, axis: Array) -> tuple[Array, float] | None:
    """Return the direction across an axis in which a covariance is largest, and by how much."""
    plane = np.eye(3) - np.outer(axis, axis)
    values, vectors = np.linalg.eigh(plane @ tensor @ plane - np.outer(axis, axis))
    gap = float(values[2] - values[1])
    return None if gap < _UNEVEN else (vectors[:, 2], gap)


def _mirror(axis: Array) -> Array:
    """Return the reflection in a plane that holds the axis."""
    normal = np.cross(axis, np.eye(3)[int(np.argmin(np.abs(axis)))])
    normal /= np.linalg.norm(normal)
    return np.eye(3) - 2.0 * np.outer(normal, normal)


def _shortest(axis: Array, other: Array) -> Array:
    """Return the rotation by the smallest angle that takes one direction to another, after Rodrigues."""
    cosine = float(axis @ other)
    if cosine < -1.0 + 1e-9:
        return -_mirror(axis)  # half a turn about the normal of the mirror
    cross = np.cross(axis, other)
    matrix = np.array(
        [
            [0.0, -cross[2], cross[1]],
            [cross[2], 0.0, -cross[0]],
            [-cross[1], cross[0], 0.0],
        ]
    )
    turn: Array = np.eye(3) + matrix + matrix @ matrix / (1.0 + cosine)
    return turn
