"""Whether two feature lists agree up to a motion: each feature must fall on a partner of its kind and size.

Two rare features and the centroid fix a proper and an improper motion. All lengths are relative to the radius
of gyration, so that scale is no obstacle.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cadml_core.documents.feature_list import FIRST_EDGE, VERTEX, FeatureList
from cadml_core.relations.motions import Array, axis_motions, frame_motions

PASS = 1e-4
"""Relative deviation up to which features fall on one another: 5 µm on a plate of 160 mm."""
LIMIT = 3e-3
"""Above it they do not; between the two it is undecided."""

_SCREEN = 24
"""Features by which a motion is screened before all are tried."""
_MOST_TRIALS, _MOST_FULL = 4_000, 40
"""Motions that are screened, and those of each hand that are tried in full."""
_PARTNERS = 8
"""Partners considered for a feature where several coincide."""
_APART = 10.0
"""Between kinds in the coordinates of the search tree: further than any tolerance."""


class Match(NamedTuple):
    """A motion under which two lists agree."""

    deviation: float
    """The largest, relative to the radius of gyration."""
    rotation: Array
    """(3, 3), of determinant 1 or -1, about the centroids."""


class Congruence(NamedTuple):
    """The best motions found."""

    proper: Match | None
    """None where no partner was within ``LIMIT``."""
    improper: Match | None
    exhausted: bool = True
    """False where the list of motions was cut off."""


@dataclass
class Cloud:
    """A feature list in units of the radius of gyration, n features."""

    kinds: NDArray[np.int64]
    points: Array
    sizes: Array
    spreads: Array
    tensors: Array
    """(n, 3, 3)."""

    @classmethod
    def of(cls, features: FeatureList, length: float, *, relaxed: bool = False) -> Cloud:
        """Take a feature list; ``relaxed`` forgets what kind of surface a face and a curve an edge has."""
        kinds = features.kinds.astype(np.int64)
        spreads = features.spreads / length
        if relaxed:
            face = (kinds > VERTEX) & (kinds < FIRST_EDGE)
            kinds = np.where(kinds == VERTEX, 0, np.where(face, 1, 2))
            spreads = np.where(face, 0.0, spreads)
        xx, yy, zz, yz, xz, xy = features.tensors.T
        tensors = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]).transpose(2, 0, 1)
        return cls(kinds, features.points / length, features.sizes / length, spreads, tensors)

    @cached_property
    def radii(self) -> Array:
        """Distances from the centroid."""
        found: Array = np.linalg.norm(self.points, axis=1)
        return found

    def coordinates(self, points: Array) -> Array:
        """Return what partners must have in common, (n, 6), with these places."""
        return np.column_stack([self.kinds * _APART, points, self.sizes, self.spreads])

    @cached_property
    def tree(self) -> Any:
        """A k-d tree over ``coordinates``."""
        from scipy.spatial import cKDTree  # takes a fifth of a second to import

        return cKDTree(self.coordinates(self.points))

    @cached_property
    def rarity(self) -> NDArray[np.int64]:
        """How many features look about like each one, (n,)."""
        steps = [np.round(column / 0.02) for column in (self.sizes, self.radii, self.spreads)]
        looks = np.column_stack([self.kinds, *steps])
        _, group, counts = np.unique(looks, axis=0, return_inverse=True, return_counts=True)
        found: NDArray[np.int64] = counts[group.ravel()]
        return found


def congruence(a: Cloud, b: Cloud) -> Congruence:
    """Find a proper and an improper motion that takes one cloud to the other, as far as there are any."""
    if not len(a.kinds) or not _alike(a, b):
        return Congruence(None, None)
    trials = frame_motions(a, b, LIMIT, _MOST_TRIALS)
    if trials is None:
        trials = axis_motions(a, b, LIMIT)
    exhausted = len(trials) < _MOST_TRIALS
    # The nearest to standing still first: of a symmetric part, that motion is the one to tell.
    trials = trials[np.argsort(-np.trace(trials, axis1=1, axis2=2), kind="stable")]
    hands = np.linalg.det(trials) > 0.0 if len(trials) else np.empty(0, bool)
    proper, improper = (_best(a, b, trials[hands == hand]) for hand in (True, False))
    return Congruence(proper, improper, exhausted)


def _alike(a: Cloud, b: Cloud) -> bool:
    """Whether kinds, sizes and distances agree where no place does: cheap, and necessary."""
    if len(a.kinds) != len(b.kinds):
        return False
    first, second = (np.lexsort((cloud.radii, cloud.kinds)) for cloud in (a, b))
    if (a.kinds[first] != b.kinds[second]).any():
        return False
    if np.abs(a.radii[first] - b.radii[second]).max() > LIMIT:
        return False
    first, second = (np.lexsort((cloud.sizes, cloud.kinds)) for cloud in (a, b))
    return bool(np.abs(a.sizes[first] - b.sizes[second]).max() <= LIMIT)


def _best(a: Cloud, b: Cloud, trials: Array) -> Match | None:
    """Return the first match that passes, else the closest one within the limit."""
    best: Match | None = None
    for rotation in _screened(a, b, trials)[:_MOST_FULL]:
        found = _match(a, b, rotation)
        if found is not None and (best is None or found.deviation < best.deviation):
            best = found
            if best.deviation <= PASS:
                break
    return best


def _screened(a: Cloud, b: Cloud, trials: Array) -> Array:
    """Return the motions under which a few far and rare features find a partner."""
    chosen = np.lexsort((-a.radii, a.rarity))[:_SCREEN]
    fixed = a.coordinates(a.points)[chosen]
    passed = []
    for rotation in trials:
        moved = fixed.copy()
        moved[:, 1:4] = fixed[:, 1:4] @ rotation.T
        distances, _ = b.tree.query(moved, p=np.inf, distance_upper_bound=3 * LIMIT)
        if np.isfinite(distances).all():
            passed.append(rotation)
            if len(passed) == _MOST_FULL:
                break
    return np.array(passed).reshape(-1, 3, 3)


def _match(a: Cloud, b: Cloud, rotation: Array) -> Match | None:
    """Pair all features under a motion, refine the motion by the pairs, and measure them."""
    partners = _partners(a, b, rotation)
    if partners is None:
        return None
    first = Match(_deviation(a, b, rotation, partners), rotation)
    refined = _refined(a.points, b.points[partners], rotation)
    partners = _partners(a, b, refined)
    if partners is None:
        return first if first.deviation <= LIMIT else None
    second = Match(_deviation(a, b, refined, partners), refined)
    best = min(first, second, key=lambda match: match.deviation)
    return best if best.deviation <= LIMIT else None


def _partners(a: Cloud, b: Cloud, rotation: Array) -> NDArray[np.int64] | None:
    """Return for each feature a partner of its own, (n,); None where one has none."""
    count = min(_PARTNERS, len(b.kinds))
    distances, found = b.tree.query(
        a.coordinates(a.points @ rotation.T), k=count, p=np.inf, distance_upper_bound=3 * LIMIT
    )
    distances, found = distances.reshape(-1, count), found.reshape(-1, count)
    if not np.isfinite(distances[:, 0]).all():
        return None
    nearest: NDArray[np.int64] = found[:, 0]
    if len(np.unique(nearest)) == len(nearest):
        return nearest
    return _assigned(distances, found)


def _assigned(distances: Array, found: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Give every feature a partner of its own where several coincide, the closest pairs first."""
    partners = np.full(len(found), -1)
    taken: set[int] = set()
    for place in np.argsort(distances, axis=None, kind="stable").tolist():
        row, column = divmod(place, distances.shape[1])
        if not np.isfinite(distances[row, column]):
            break
        if partners[row] < 0 and (partner := int(found[row, column])) not in taken:
            partners[row] = partner
            taken.add(partner)
    return partners if (partners >= 0).all() else None


def _deviation(a: Cloud, b: Cloud, rotation: Array, partners: NDArray[np.int64]) -> float:
    """Return the largest difference in place, size and spread, each as a length."""
    apart = np.linalg.norm(a.points @ rotation.T - b.points[partners], axis=1)
    size = np.abs(a.sizes - b.sizes[partners])
    spread = np.abs(a.spreads - b.spreads[partners])
    turned = rotation @ a.tensors @ rotation.T - b.tensors[partners]
    # A change of the covariance by d moves points by about d over twice the spread.
    bent = np.abs(turned).max(axis=(1, 2)) * np.minimum(a.spreads, b.spreads[partners]) / 2.0
    return float(np.max([apart, size, spread, bent]))


def _refined(a: Array, b: Array, rotation: Array) -> Array:
    """Return the rotation of the same hand that brings the pairs closest together, after Kabsch (1976)."""
    left, singular, right = np.linalg.svd(a.T @ b)
    if singular[1] < 1e-6 * max(float(singular[0]), 1e-300):
        return rotation  # the places lie on a line, and do not fix it
    hand = np.sign(np.linalg.det(rotation) * np.linalg.det(left) * np.linalg.det(right))
    refined: Array = (left * np.array([1.0, 1.0, hand])) @ right
    return refined.T
