"""Solids from loose faces: faces that meet at edges are sewn, and closed shells become solids."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cadml_plugins.formats.kernel import _bodies, _cavities, _geometry, _topology
from cadml_plugins.formats.kernel._occt import Failure, Shape

RELATIVE_TOLERANCE = 1e-5
"""Largest gap between two faces that is sewn, over the diagonal of the loose faces' box."""

BOUNDS = (1e-6, 0.1)
"""Least and largest tolerance, in millimetres."""


def close(shape: Shape, warnings: list[str], doubts: list[str]) -> Shape:
    """Return the shape with its loose faces sewn and every closed shell made a solid.

    Faces that the file keeps together are sewn together first, then those that are still open. So bodies that
    touch do not become one. A closed shell within another is taken for a cavity of it. Existing solids and
    curves stay as they are.

    Args:
        warnings: Gets a sentence where the faces could not be sewn.
        doubts: Gets the reasons why the volume of the result may be wrong.
    """
    groups, facets = _loose_faces(shape)
    if not groups:
        return shape
    try:
        closed, open_shells = _sew(groups)
    except Failure:
        warnings.append("the faces could not be sewn; they are counted one by one")
        return shape
    # The result has everything once: solids, free curves, and the shells of the sewn faces.
    parts = _topology.explore(shape, _topology.SOLID)
    parts += _topology.explore(shape, _topology.EDGE, outside=_topology.FACE)
    parts += _cavities.solids(closed, doubts)
    return _topology.compound(parts + open_shells + facets)


def _loose_faces(shape: Shape) -> tuple[list[list[Shape]], list[Shape]]:
    """Return the exact faces outside of solids, by group, and those that have only facets."""
    groups = _topology.groups(shape, _topology.FACE, outside=_topology.SOLID)
    exact = [[face for face in group if _geometry.has_surface(face)] for group in groups]
    facets = [face for group in groups for face in group if not _geometry.has_surface(face)]
    return [group for group in exact if group], facets


def _sew(groups: Sequence[Sequence[Shape]]) -> tuple[list[Shape], list[Shape]]:
    """Return the closed shells and the open ones."""
    tolerance = _tolerance([face for group in groups for face in group])
    bodies = [body for group in groups for body in _bodies.split(group, tolerance)]
    closed: list[Shape] = []
    left: list[Shape] = []
    for body in bodies if len(bodies) > 1 else ():
        for shell in _sewn(body, tolerance):
            if _topology.is_closed(shell):
                closed.append(shell)
            else:
                left += _topology.explore(shell, _topology.FACE)
    shells = _sewn(left if len(bodies) > 1 else bodies[0], tolerance)
    closed += filter(_topology.is_closed, shells)
    return closed, [shell for shell in shells if not _topology.is_closed(shell)]


def _sewn(faces: Sequence[Shape], tolerance: float) -> list[Shape]:
    if not faces:
        return []
    sewn = _topology.sew(faces, tolerance)
    # A face that is closed by itself, a sphere or a torus, is not sewn to any other and has no shell yet.
    alone = _topology.explore(sewn, _topology.FACE, outside=_topology.SHELL)
    return [*_topology.explore(sewn, _topology.SHELL), *map(_topology.shell_of, alone)]


def _tolerance(faces: Sequence[Shape]) -> float:
    box = _geometry.quick_bounds(_topology.compound(faces))
    diagonal = math.dist(box[:3], box[3:]) if box else 0.0
    low, high = BOUNDS
    return min(max(RELATIVE_TOLERANCE * diagonal, low), high)
