"""Which contents a new one has to be compared with: near in invariants, one for all that are the same."""

from __future__ import annotations

from collections.abc import Sequence
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


class Blocks:
    """Compared contents, found by their invariants."""

    def __init__(self) -> None:
        self._exact = Cells(_TOLERANCE, 2)
        self._scaled = Cells(2 * _TOLERANCE, 2)
        self._bodies = Cells(_TOLERANCE, 2)
        self._singles = Cells(_TOLERANCE, 2)
        self._wide = Cells(MESH, 3)
        self._meshes = Cells(MESH, 3)

    def add(self, hashes: Sequence[str], entries: Sequence[Entry], roles: Sequence[Role]) -> None:
        """Let later contents find these."""
        known = [
            (one, entry, role)
            for one, entry, role in zip(hashes, entries, roles, strict=True)
            if role != NOTHING and entry.placed
        ]
        _fill(self._meshes, [(one, entry.keys[:1]) for one, entry, _ in known if not entry.exact])
        exact = [(one, entry, role) for one, entry, role in known if entry.exact]
        whole = [(one, entry.keys[:1]) for one, entry, _ in exact]
        _fill(self._exact, whole)
        _fill(self._wide, whole)
        _fill(self._singles, [(one, entry.keys[:1]) for one, entry, _ in exact if entry.placed == 1])
        _fill(self._bodies, [(one, entry.keys[1:]) for one, entry, _ in exact if len(entry.keys) > 1])
        first = [(one, entry.keys[:1]) for one, entry, role in exact if role == ANYTHING]
        if first:
            self._scaled.add(
                [one for one, _ in first], size_free(np.concatenate([keys for _, keys in first]))
            )

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


def _fill(cells: Cells, rows: Sequence[tuple[str, NDArray[np.float64]]]) -> None:
    if rows:
        names = [one for one, keys in rows for _ in keys]
        cells.add(names, np.concatenate([keys for _, keys in rows]) / _LENGTHS)


def _points(entry: Entry) -> list[Point]:
    return list(map(tuple, (entry.keys / _LENGTHS).tolist()))


def _form(entry: Entry) -> Point:
    return tuple(size_free(entry.keys[:1])[0].tolist())
