"""Solids from closed shells: a shell within another is its cavity, a shell within a cavity a body again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cadml_plugins.formats.kernel import _geometry, _topology
from cadml_plugins.formats.kernel._occt import Failure, Shape

MOST_TESTS = 2_000
"""So many pairs of a shell and another whose box holds it are examined, at some 0.1 ms each."""


def solids(shells: Sequence[Shape], doubts: list[str]) -> list[Shape]:
    """Return the solids that closed shells bound, each facing outwards.

    Args:
        doubts: Gets a reason where a shell lies within another: loose faces do not say whether it bounds a
            cavity, which is what it is taken for, or a core of other material.
    """
    bodies = [_solid(shell) for shell in shells]
    holders = _holders(bodies, doubts)
    cavities: dict[int, list[Shape]] = {}
    for inner, around in enumerate(holders):
        if len(around) % 2:
            # The innermost of the shells around it is itself within all the others.
            cavities.setdefault(max(around, key=lambda outer: len(holders[outer])), []).append(shells[inner])
    if cavities:
        count = sum(map(len, cavities.values()))
        doubts.append(f"{count} closed shells lie within others and are taken for cavities")
    return [
        _topology.hollow(body, cavities[number]) if number in cavities else body
        for number, body in enumerate(bodies)
        if not len(holders[number]) % 2
    ]


def _solid(shell: Shape) -> Shape:
    """Return the solid of a closed shell; the shell itself where the kernel cannot make one."""
    try:
        return _topology.solid_of(shell)
    except Failure:
        return shell


def _holders(bodies: Sequence[Shape], doubts: list[str]) -> list[list[int]]:
    """Return, for each body, the numbers of the bodies that it lies within."""
    holders: list[list[int]] = [[] for _ in bodies]
    boxes = np.array([_geometry.quick_bounds(body) or (np.nan,) * 6 for body in bodies]).reshape(-1, 6)
    tests = 0
    for inner, box in enumerate(boxes):
        within = (boxes[:, :3] < box[:3]).all(axis=1) & (boxes[:, 3:] > box[3:]).all(axis=1)
        for outer in np.flatnonzero(within).tolist():
            tests += 1
            if tests <= MOST_TESTS and _topology.contains(bodies[outer], bodies[inner]):
                holders[inner].append(outer)
    if tests > MOST_TESTS:
        doubts.append("there are too many shells to find out which are cavities of others")
    return holders
