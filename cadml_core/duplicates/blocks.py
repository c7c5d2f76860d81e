"""Which contents a new one has to be compared with: near in invariants, one for all that are the same."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cadml_core.documents.invariants import Invariants
from cadml_core.duplicates.cells import Cells, Point
from cadml_core.relations.blocking import EXACT, MESH, keys, size_free

Role = Literal[0, 1, 2]
"""How later contents meet this one: as anything; as anything but a scaled copy, of which another is the
first; not at all, as it is the same as another."""
ANYTHING: Role = 0
ANY_SIZE_BUT_SCALED: Role = 1
NOTHING: Role = 2

_TOLERANCE = 5 * EXACT
"""Wider than true copies differ, since congruence decides."""
_LENGTHS = np.array([3.0, 2.0, 1.0, 1.0, 1.0])
_MOST, _MOST_MESHES, _MOST_BODIES = 32, 8, 256
"""So many contents are compared with one, the nearest first."""


class Entry(NamedTuple):
    """What a content is found by."""

    keys: NDArray[np.float64]
    """Of ``relations.blocking.keys``, (1 + bodies, 5): the whole, then each distinct body of an assembly."""
    exact: bool
    placed: int
    """Bodies in the file; 0 where it encloses no volume."""

    @classmethod
    def of(cls, invariants: Invariants | None) -> Entry:
        """Take the invariants of a content."""
        if invariants is None or not invariants.whole.length > 0.0:
            return cls(np.empty((0, 5)), False, 0)
        placed = max(sum(body.count for body in invariants.bodies), 1)
        bodies = invariants.bodies if placed > 1 else ()
        return cls(keys([invariants.whole, *bodies]), invariants.exact, placed)


class Candidates(NamedTuple):
    """Contents to compare with one, the nearest first."""

    same: list[str]
    """Of the same size, surfaces or facets alike; those by which it is most surely decided first."""
    scaled: list[str]
    inside: list[str]
    """Assemblies of which it may be a body."""
    bodies: list[str]
    """That may be a body of it."""


class Stored(NamedTuple):
    """Many contents, n, as columns."""

    hashes: list[str]
    counts: NDArray[np.int64]
    """Rows of each in ``keys``, (n,)."""
    keys: NDArray[np.float64]
    """(rows, 5)."""
    exact: NDArray[np.bool_]
    placed: NDArray[np.int64]
    roles: NDArray[np.int64]


class Blocks:
    """Compared contents, found by their invariants.

    Args:
        stored: Those that were compared before.
    """

    def __init__(self, stored: Stored) -> None:
        first = np.cumsum(stored.counts) - stored.counts
        owner = np.repeat(np.arange(len(stored.counts)), stored.counts)
        met = (stored.placed > 0) & (stored.roles != NOTHING)
        exact, whole = met & stored.exact, stored.keys / _LENGTHS

        def cells(chosen: NDArray[np.bool_], reach: float, axes: int) -> Cells:
            places = np.flatnonzero(chosen)
            return Cells(reach, axes, [stored.hashes[place] for place in places], whole[first[places]])

        self._exact = cells(exact, _TOLERANCE, 2)
        self._singles = cells(exact & (stored.placed == 1), _TOLERANCE, 2)
        self._wide = cells(exact, MESH, 3)
        self._meshes = cells(met & ~stored.exact, MESH, 3)
        bodies = exact[owner]
        bodies[first[stored.counts > 0]] = False
        held = [stored.hashes[place] for place in owner[bodies]]
        self._bodies = Cells(_TOLERANCE, 2, held, whole[bodies])
        alone = np.flatnonzero(exact & (stored.roles == ANYTHING))
        names = [stored.hashes[place] for place in alone]
        self._scaled = Cells(2 * _TOLERANCE, 2, names, size_free(stored.keys[first[alone]]))

    def add(self, sha256: str, entry: Entry, role: Role) -> None:
        """Let later contents find this one."""
        if role == NOTHING or not entry.placed:
            return
        whole, *bodies = _points(entry)
        if not entry.exact:
            self._meshes.add(sha256, whole)
            return
        self._exact.add(sha256, whole)
        self._wide.add(sha256, whole)
        if entry.placed == 1:
            self._singles.add(sha256, whole)
        if role == ANYTHING:
            self._scaled.add(sha256, _form(entry))
        for body in bodies:
            self._bodies.add(sha256, body)

    def candidates(self, entry: Entry) -> Candidates:
        """Return what a content is to be compared with."""
        if not entry.placed:
            return Candidates([], [], [], [])
        whole, *bodies = _points(entry)
        if not entry.exact:
            near = self._wide.near(whole, _MOST_MESHES) + self._meshes.near(whole, _MOST_MESHES)
            return Candidates(near, [], [], [])
        same = self._exact.near(whole, _MOST)
        found = (name for body in bodies for name in self._singles.near(body, _MOST))
        return Candidates(
            same + self._meshes.near(whole, _MOST_MESHES),
            [name for name in self._scaled.near(_form(entry), _MOST) if name not in same],
            self._bodies.near(whole, _MOST_BODIES) if entry.placed == 1 else [],
            list(dict.fromkeys(found))[:_MOST_BODIES],
        )


def _points(entry: Entry) -> list[Point]:
    return list(map(tuple, (entry.keys / _LENGTHS).tolist()))


def _form(entry: Entry) -> Point:
    return tuple(size_free(entry.keys[:1])[0].tolist())
