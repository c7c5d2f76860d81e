"""What differs between two parts of one design: from their matched and unmatched features."""

from __future__ import annotations

import math
from collections import Counter
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cadml_core.documents.feature_list import EDGE_CODES, FACE_CODES, VERTEX, FeatureList
from cadml_core.relations.blocking import difference
from cadml_core.relations.registration import register
from cadml_core.relations.relation import Difference, Subject

SHARED = 0.25
"""Share of the features of both that must agree in kind and size for one to be a variant of the other."""
CLOSE = 0.1
"""Where all kinds of features are as many, the difference of the invariants up to which it is one as well."""
_SAME_SIZE = 1e-3
_SMALLEST, _KINDS_APART = 1e-60, 1e3
"""The smallest size in mm that is told from none; and more than the logarithms of any two sizes differ."""
_VISIBLE = 5e-4
"""Relative difference of a quantity from which it is told."""
_SIDE_VISIBLE, _SURPRISING = 2.5e-3, 0.2
"""The same for a side, which is known less exactly; and a difference that is believed of one side only."""
_TIGHT = 1.2
"""A box this much larger than that along the axes of inertia is of a part that lies askew."""
_SIDES: tuple[Literal["thickness", "width", "length"], ...] = ("thickness", "width", "length")


def is_variant(a: Subject, b: Subject) -> bool:
    """Tell whether enough features agree in kind and size, wherever they are."""
    if a.features is None or b.features is None or not len(a.features) or not len(b.features):
        return False
    if shared_features(a.features, b.features) >= SHARED:
        return True
    first, second = a.document.invariants, b.document.invariants
    if first is None or second is None or difference(first.whole, second.whole) > CLOSE:
        return False
    return bool(np.array_equal(np.bincount(a.features.kinds), np.bincount(b.features.kinds)))


def shared_features(a: FeatureList, b: FeatureList) -> float:
    """Return the features that agree in kind and size over all that there are, 0 to 1; without vertices.

    Features of a kind agree where no gap between one size and the next is larger than a thousandth.
    """
    mine, theirs = (_sizes_by_kind(part) for part in (a, b))
    keys = np.concatenate([mine, theirs])
    if not len(keys):
        return 0.0
    order = np.argsort(keys, kind="stable")
    ours = order < len(mine)
    apart = np.diff(keys[order]) > -math.log1p(-_SAME_SIZE)
    starts = np.concatenate([[0], np.flatnonzero(apart) + 1])
    first = np.add.reduceat(ours.astype(np.int64), starts)
    every = np.diff(np.append(starts, len(keys)))
    common = int(np.minimum(first, every - first).sum())
    return common / (len(keys) - common)


def _sizes_by_kind(part: FeatureList) -> NDArray[np.float64]:
    """Return the logarithms of all sizes but those of vertices, those of each kind far from the others."""
    counted = part.kinds != VERTEX
    keys: NDArray[np.float64] = np.log(np.maximum(part.sizes[counted], _SMALLEST))
    keys += part.kinds[counted] * _KINDS_APART
    return keys


def differences(a: Subject, b: Subject) -> tuple[Difference, ...]:
    """Return the quantities in which two parts differ, those that an engineer names first before others."""
    found = _sides(a, b) + _holes(a, b)
    first, second = a.document.invariants, b.document.invariants
    if first is not None and second is not None and _differ(first.whole.volume, second.whole.volume):
        found.append(Difference("volume", first.whole.volume, second.whole.volume))
    faces = _faces(a), _faces(b)
    if faces[0] != faces[1] and all(faces) and not any(item.quantity == "hole" for item in found):
        found.append(Difference("faces", *faces))
    return tuple(found)


def _differ(one: float, other: float, visible: float = _VISIBLE) -> bool:
    return abs(one - other) > visible * max(abs(one), abs(other))


def _faces(part: Subject) -> int:
    exact = part.document.invariants is not None and part.document.invariants.exact
    return part.document.surface_count if exact else 0


def _sides(a: Subject, b: Subject) -> list[Difference]:
    """Compare the sides of both in one frame: that of the file or of inertia, where the first is smaller."""
    sides = _plain(a), _plain(b)
    if a.features is not None and b.features is not None and len(a.features) and len(b.features):
        motion = register(a.features, b.features)
        if motion is not None:
            sides = _along_axes(a, b, motion) or _aligned(a.features, b.features, motion)
    order = np.argsort(sides[0], kind="stable")
    pairs = list(zip(_SIDES, sides[0][order].tolist(), sides[1][order].tolist(), strict=True))
    if sum(abs(one - other) > _SURPRISING * max(one, other) for _, one, other in pairs) > 1:
        return []  # the two lie otherwise to one another than was found
    return [Difference(name, one, other) for name, one, other in pairs if _differ(one, other, _SIDE_VISIBLE)]


def _along_axes(
    a: Subject, b: Subject, motion: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return the exact boxes where both parts lie along the axes of their files; None where they do not."""
    first, second = a.document.bounding_box, b.document.bounding_box
    if first is None or second is None or a.features is None or np.abs(motion - np.eye(3)).max() > 1e-6:
        return None
    _, own = np.linalg.eigh(a.features.points.T @ a.features.points)
    sides = np.array(first.extents)
    if np.prod(sides) > _TIGHT * np.prod(_extents(a.features, own)):
        return None
    return sides, np.array(second.extents)


def _plain(part: Subject) -> NDArray[np.float64]:
    box = part.document.bounding_box
    return np.sort(np.array(box.extents if box else (0.0, 0.0, 0.0)))


def _aligned(
    a: FeatureList, b: FeatureList, motion: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the extents of both along the axes of one frame; the motion takes places of b to those of a."""
    _, own = np.linalg.eigh(a.points.T @ a.points)
    frames = [np.eye(3), own]
    first = min(frames, key=lambda frame: float(np.prod(_extents(a, frame))))
    return _extents(a, first), _extents(b, motion.T @ first)


def _extents(features: FeatureList, axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far the features reach along three axes, given as columns."""
    places = features.points @ axes
    xx, yy, zz, yz, xz, xy = features.tensors.T
    tensors = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]).transpose(2, 0, 1)
    # A ring of covariance c reaches the square root of 2 c to each side of its centre.
    along = np.einsum("ji,njk,ki->ni", axes, tensors, axes)
    reach = features.spreads[:, None] * np.sqrt(np.maximum(2.0 * along, 0.0))
    ring = features.kinds == EDGE_CODES["circle"]
    low, high = places - reach * ring[:, None], places + reach * ring[:, None]
    # Of curved faces and of free-form edges it is not known how far they bulge.
    kept = ring | np.isin(features.kinds, (VERTEX, FACE_CODES["plane"], EDGE_CODES["line"]))
    if not kept.any():
        return np.zeros(3)
    found: NDArray[np.float64] = high[kept].max(axis=0) - low[kept].min(axis=0)
    return found


def _holes(a: Subject, b: Subject) -> list[Difference]:
    """Compare how many round holes there are of each diameter."""
    if a.features is None or b.features is None:
        return []
    first, second = _diameters(a.features), _diameters(b.features)
    lost, new = first - second, second - first
    if len(lost) == len(new) == 1 and sum(lost.values()) == sum(new.values()):
        [one], [other] = lost, new
        return [Difference("diameter", one, other)]
    return [
        Difference("hole", float(first[diameter]), float(second[diameter]), at=diameter)
        for diameter in sorted(lost | new)
    ]


def _diameters(features: FeatureList) -> Counter[float]:
    """Count the full hollow cylinders by diameter, in mm to four digits."""
    hollow = (features.kinds == FACE_CODES["cylinder"]) & (features.radii < 0.0)
    found: Counter[float] = Counter()
    for index in np.flatnonzero(hollow).tolist():
        radius = -float(features.radii[index])
        xx, yy, zz, yz, xz, xy = features.tensors[index].tolist()
        tensor = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]) * features.spreads[index] ** 2
        # All the way round, the covariance across the axis is r²/2 in every direction.
        across = np.abs(np.linalg.eigvalsh(tensor) - radius**2 / 2.0) < 0.02 * radius**2
        if across.sum() >= 2:
            found[round(2.0 * radius, 3 - math.floor(math.log10(2.0 * radius)))] += 1
    return found
