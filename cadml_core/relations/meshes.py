"""Whether two meshes bound the same solid: they are aligned, then compared both ways, exactly.

One way is not enough: every vertex of a part without a hole lies on the part with it. Distances are those of
points to the nearest facet, and relative to the radius of gyration. Corners of facets must lie on the other
surface; places between them may be off by as much as facets at that angle stand off an arc.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cadml_core.relations.alignment import align
from cadml_core.relations.surfaces import Surface

Array = NDArray[np.float64]

ON_SURFACE = 1.2e-3
"""How far corners may be off the other surface, beside its own sag."""
BETWEEN = 1.5e-3
"""How far other places may be, beside the sag of both."""
SAG = 1.5
"""By how many times the sag of ideal arcs may be exceeded: facets are not placed ideally."""
MOST_SAG = 0.03
"""The most that sag may allow: details of that size could hide in it."""
NEARLY = 5e-3
"""Deviation beyond what is allowed up to which it is undecided; above it, the parts differ."""
FAR_OFF = 0.1
"""Distance that alignment leaves above which nothing more is measured."""
SURER = 10.0
"""By how many times the other hand must be worse for a hand to be told."""
_PLACES = 10_000
_CORNERS = 40_000


class Verdict(NamedTuple):
    """What the comparison of two meshes says; lengths are relative to the radius of gyration."""

    same: bool
    """Whether one is the other moved, or its mirror image."""
    mirrored: bool
    deviation: float
    """The largest distance between the two."""
    tolerance: float
    """The largest distance that was allowed, at any place."""
    motion: Array
    """4 x 4, from the first to the second, in mm."""
    reason: str | None = None
    """Why it is undecided; None where they are the same, or differ."""
    excess: float = 0.0
    """The largest distance beyond what was allowed there."""


def compare_meshes(a: Surface, b: Surface) -> Verdict:
    """Say whether the second mesh is the first one moved, or its mirror image.

    Both must be closed, and agree within a few per cent in volume and moments.
    """
    if a.exact and not b.exact:  # corners of facets are aligned to the exact surface, not the reverse
        found = compare_meshes(b, a)
        return found._replace(motion=_inverse(found.motion))
    proper, improper = (_judge(a, b, *align(a, b, improper=hand), mirrored=hand) for hand in (False, True))
    if proper.same:
        return proper
    if not improper.same:
        return min(proper, improper, key=lambda verdict: verdict.excess)
    if proper.deviation < SURER * improper.deviation and proper.excess < NEARLY:
        return improper._replace(same=False, reason="it matches as a mirror image, but nearly so as it is")
    return improper


def _inverse(motion: Array) -> Array:
    inverse = np.eye(4)
    inverse[:3, :3] = motion[:3, :3].T
    inverse[:3, 3] = -motion[:3, :3].T @ motion[:3, 3]
    return inverse


def _judge(a: Surface, b: Surface, motion: Array, left: float, *, mirrored: bool) -> Verdict:
    if left > FAR_OFF * b.length:
        return Verdict(False, mirrored, left / b.length, ON_SURFACE, motion, None, left / b.length)
    own = a.sag_on(b, motion) if b.exact and not a.exact else a.sag
    forth = _measure(a, b, motion, (own, b.sag))
    back = _measure(b, a, _inverse(motion), (b.sag, own))
    excess = max(forth.excess, back.excess)
    deviation = max(forth.deviation, back.deviation)
    reason = None
    if 0.0 < excess <= NEARLY:
        reason = f"the surfaces are {deviation:.1e} of the size apart"
    elif excess > 0.0 and forth.corners <= 0.0 and b.exact:
        reason = f"the facets are too coarse: they are up to {deviation:.1e} of the size off the surface"
    tolerance = max(forth.allowed, back.allowed)
    return Verdict(excess <= 0.0, mirrored, deviation, tolerance, motion, reason, excess)


class _Measure(NamedTuple):
    deviation: float
    excess: float
    corners: float
    """Excess of the corners alone."""
    allowed: float


def _measure(a: Surface, b: Surface, motion: Array, sags: tuple[Array, Array]) -> _Measure:
    """Measure how far the first mesh is from the second; ``sags`` are those of their facets."""
    turn, shift = motion[:3, :3], motion[:3, 3]
    # The nearest facet of a place above an arc may be a neighbour of those that stand for it.
    theirs = b.around(sags[1])
    corners = a.mesh.vertices[:: -(-len(a.mesh.vertices) // _CORNERS)]
    distances, nearest, _ = b.nearest(corners @ turn.T + shift)
    # Corners of a file's own mesh lie on the surface; those made of exact surfaces lie on arcs above facets.
    allowed = _allowed(BETWEEN if a.exact else ON_SURFACE, theirs[nearest], b.length)
    corner = float((distances / b.length - allowed).max())
    places, facets = _places(a)
    moved = places @ turn.T + shift
    between, nearest, ends = b.nearest(moved)
    along = np.abs(np.einsum("ij,ij->i", ends - moved, a.normals[facets] @ turn.T))
    across = np.sqrt(np.maximum(between**2 - along**2, 0.0))
    # A plane facet reaches sideways into a round hole by the sag of the hole's facets, but not up or down.
    above = along / b.length - _allowed(BETWEEN, sags[0][facets] + theirs[nearest], b.length)
    beside = _allowed(BETWEEN, a.around(sags[0])[facets] + theirs[nearest], b.length)
    excess = max(corner, float(above.max()), float((across / b.length - beside).max()))
    deviation = max(float(distances.max()), float(between.max())) / b.length
    return _Measure(deviation, excess, corner, max(float(allowed.max()), float(beside.max())))


def _allowed(base: float, sag: Array, unit: float) -> Array:
    return base + np.minimum(SAG * sag / unit, MOST_SAG)


def _places(surface: Surface) -> tuple[Array, NDArray[np.int64]]:
    """Return middles of facets and places by area, with their facets."""
    step = -(-len(surface.corners) // _PLACES)
    places, facets = surface.samples(_PLACES)
    middles = surface.corners[::step].mean(axis=1)
    own = np.arange(0, len(surface.corners), step)
    return np.concatenate([middles, places]), np.concatenate([own, facets])
