"""The bounding box of a shape: quick boxes for all of it, tight ones only for what decides a side.

The kernel's quick box of a free-form or toroidal face is that of its control points, up to a third too wide;
a tight box for every face takes longer than reading the file. So quick boxes come first. On each side, the
shape that reaches furthest is refined until the furthest one has an exact box.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

from cadml_core import BoundingBox
from cadml_plugins.formats.kernel import _geometry, _topology
from cadml_plugins.formats.kernel._occt import Failure, Shape

TIGHT_BOXES = 200
"""After so many tight boxes the other shapes keep their quick ones; a warning says so."""

SLACK = 1e-6
"""How far, over the box's diagonal, a quick box may reach beyond an exact one without being refined."""

_UNBOUNDED = 1e50
"""The kernel gives an infinite plane or line a box that reaches to 1e100."""


def bounding_box(shape: Shape, warnings: list[str]) -> BoundingBox | None:
    """Return the box of a shape in millimetres, None where it has no points.

    Warnings are appended for unbounded shapes, and where sides may be too wide.
    """
    search = _Search()
    search.add([shape])
    sides = [search.settle(side) for side in range(6)]
    if search.unbounded:
        warnings.append(f"{search.unbounded} unbounded shapes are left out of the bounding box")
    if search.tight_boxes >= TIGHT_BOXES:
        warnings.append("the bounding box may be too wide: too many free-form faces to examine each")
    reach = [side for side in sides if side is not None]
    if len(reach) < 6:
        return None
    # Sides are exact within the slack only: those of a flat shape may cross by that much.
    low = [min(-reach[axis], reach[axis + 3]) for axis in range(3)]
    high = [max(-reach[axis], reach[axis + 3]) for axis in range(3)]
    return BoundingBox((low[0], low[1], low[2]), (high[0], high[1], high[2]))


@dataclass(slots=True, eq=False)
class _Candidate:
    shape: Shape
    exact: bool
    replaced: bool = False


class _Search:
    """A best-first search with one heap per side, the furthest shape first.

    Sides 0 to 2 are -x, -y, -z, and 3 to 5 are +x, +y, +z. A reach is the coordinate in the direction of its
    side, so a larger one is always further out.
    """

    def __init__(self) -> None:
        self._heaps: list[list[tuple[float, int, _Candidate]]] = [[] for _ in range(6)]
        self._order = itertools.count()
        self._size = 0.0
        self.tight_boxes = 0
        self.unbounded = 0

    def add(self, shapes: Iterable[Shape]) -> None:
        for shape in shapes:
            self._push(_Candidate(shape, exact=False))

    def settle(self, side: int) -> float | None:
        """Return the reach of the shape towards a side; None where it has no points."""
        heap = self._heaps[side]
        exact = -math.inf
        while heap:
            reach, _, candidate = heap[0]
            if candidate.replaced:  # refined for another side
                heapq.heappop(heap)
            elif candidate.exact:
                return -reach
            elif -reach <= exact + SLACK * self._size:
                return exact
            elif self.tight_boxes >= TIGHT_BOXES:
                return -reach
            else:
                exact = max(exact, self._refine(candidate, side))
        return exact if exact > -math.inf else None

    def _refine(self, candidate: _Candidate, side: int) -> float:
        """Replace a candidate by finer ones; return the reach of an exact one."""
        candidate.replaced = True
        finer = _finer(candidate.shape)
        if finer:
            self.add(finer)
            return -math.inf
        self.tight_boxes += 1
        return self._push(_Candidate(candidate.shape, exact=True))[side]

    def _push(self, candidate: _Candidate) -> tuple[float, ...]:
        bounds = _bounds(candidate.shape, tight=candidate.exact)
        if bounds is None:
            return (-math.inf,) * 6
        if not all(abs(value) < _UNBOUNDED for value in bounds):
            if finer := _finer(candidate.shape):
                self.add(finer)
            else:
                self.unbounded += 1
            return (-math.inf,) * 6
        self._size = max(self._size, math.dist(bounds[:3], bounds[3:]))
        reach = (-bounds[0], -bounds[1], -bounds[2], *bounds[3:])
        for heap, value in zip(self._heaps, reach, strict=True):
            heapq.heappush(heap, (-value, next(self._order), candidate))
        return reach


def _finer(shape: Shape) -> list[Shape]:
    """Return the parts of a shape, down to faces and loose edges, which have none."""
    kind = _topology.kind(shape)
    if kind in (_topology.COMPOUND, _topology.COMPSOLID):
        return list(_topology.children(shape))
    if kind in (_topology.SOLID, _topology.SHELL):
        return _topology.distinct(shape, _topology.FACE)
    return _topology.distinct(shape, _topology.EDGE) if kind == _topology.WIRE else []


def _bounds(shape: Shape, *, tight: bool) -> _geometry.Bounds | None:
    """Return the box asked for, the quick one where the kernel fails to find a tight one."""
    for measure in (_geometry.tight_bounds, _geometry.quick_bounds)[not tight :]:
        with contextlib.suppress(*Failure):
            if bounds := measure(shape):
                return bounds
    return None
