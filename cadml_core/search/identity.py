"""Which contents of a catalogue may be the same as one, or hold it, or be held: by invariants alone."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cadml_core.catalog.engine import PART
from cadml_core.catalog.invariants import invariants_of
from cadml_core.catalog.store import Catalog
from cadml_core.documents.invariants import BodyInvariants, Invariants
from cadml_core.relations.blocking import EXACT, MESH, Rows, keys

_TOLERANCE = 5 * EXACT
"""Wider than true copies differ, since congruence decides what is proposed."""
_MOST, _MOST_MESHES = 64, 10
"""So many contents are proposed, the nearest first; fewer where only meshes could decide."""
_FEW = 1_000
"""After more changes than this it is quicker to begin anew."""

Bodies = tuple[BodyInvariants, ...]


class _Rows(NamedTuple):
    """Bodies in a fixed order, and the content that each of them is of."""

    rows: Rows
    hashes: list[str]

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, NDArray[np.float64]]]) -> _Rows:
        listed = list(pairs)
        table = np.array([key for _, key in listed], np.float64).reshape(-1, 5)
        return cls(Rows(table), [sha256 for sha256, _ in listed])

    def same(self, body: BodyInvariants, tolerance: float = _TOLERANCE) -> list[str]:
        return [self.hashes[row] for row in self.rows.same(body, tolerance).tolist()]

    def scaled(self, body: BodyInvariants) -> list[str]:
        return [self.hashes[row] for row in self.rows.scaled(body, _TOLERANCE).tolist()]


class _Entry(NamedTuple):
    """One content."""

    whole: NDArray[np.float64]
    bodies: NDArray[np.float64]
    """Of an assembly, else without rows."""
    exact: bool


class _Tables(NamedTuple):
    exact: _Rows
    meshes: _Rows
    bodies: _Rows


class IdentitySpace:
    """The invariants of all contents of a catalogue, in memory: 40 bytes a body. Thread-safe."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._tables = _tables({})
        self._change = 0

    def candidates(self, wanted: Invariants) -> list[str]:
        """Return the sha256 of contents that may be the same, mirrored, scaled, hold it or be held by it."""
        tables, whole = self._current(), wanted.whole
        if not whole.length > 0.0:
            return []
        found = []
        if wanted.exact:
            found += tables.exact.same(whole) + tables.bodies.same(whole) + tables.exact.scaled(whole)
            for body in wanted.bodies if _placed(wanted) > 1 else ():
                found += tables.exact.same(body)
            found = list(dict.fromkeys(found))[:_MOST]
        meshes = tables.meshes.same(whole, MESH)
        if not wanted.exact:
            meshes = tables.exact.same(whole, MESH)[:_MOST_MESHES] + meshes[:_MOST_MESHES]
        return list(dict.fromkeys(found + meshes[: 2 * _MOST_MESHES]))

    def _current(self) -> _Tables:
        newest = self._catalog.last_change()
        with self._lock:
            if newest != self._change:
                self._follow(newest)
            return self._tables

    def _follow(self, newest: int) -> None:
        rows = None
        if self._change and 0 < newest - self._change <= _FEW:
            rows = [int(change.key) for change in self._catalog.changes_since(self._change, PART)]
        else:
            self._entries.clear()
        for sha256, invariants in invariants_of(self._catalog, rows).items():
            self._entries.pop(sha256, None)
            if invariants is not None:
                self._entries[sha256] = _entry(invariants)
        self._tables, self._change = _tables(self._entries), newest


def _placed(invariants: Invariants) -> int:
    return sum(body.count for body in invariants.bodies)


def _entry(invariants: Invariants) -> _Entry:
    bodies = invariants.bodies if _placed(invariants) > 1 else ()
    return _Entry(keys([invariants.whole])[0], keys(bodies), invariants.exact)


def _tables(entries: Mapping[str, _Entry]) -> _Tables:
    named = entries.items()
    return _Tables(
        _Rows.of((sha256, entry.whole) for sha256, entry in named if entry.exact),
        _Rows.of((sha256, entry.whole) for sha256, entry in named if not entry.exact),
        _Rows.of((sha256, body) for sha256, entry in named for body in entry.bodies),
    )
