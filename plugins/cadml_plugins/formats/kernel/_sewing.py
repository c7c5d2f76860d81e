"""Solids from loose faces: faces that meet at edges are sewn, and closed shells become solids."""

from __future__ import annotations

import math

from cadml_plugins.formats.kernel import _geometry, _topology
from cadml_plugins.formats.kernel._occt import Failure, Shape

RELATIVE_TOLERANCE = 1e-5
"""Largest gap between two faces that is sewn, over the diagonal of the loose faces' box."""

BOUNDS = (1e-6, 0.1)
"""Least and largest tolerance, in millimetres."""


def close(shape: Shape, warnings: list[str]) -> Shape:
    """Return the shape with its loose faces sewn and every closed shell made a solid.

    Existing solids and curves stay as they are. A shell within another becomes a solid of its own: from IGES
    faces a cavity cannot be told from a core.
    """
    loose = _topology.explore(shape, _topology.FACE, outside=_topology.SOLID)
    if not loose:
        return shape
    try:
        sewn = _topology.sew(loose, _tolerance(loose))
    except Failure:
        warnings.append("the faces could not be sewn; they are counted one by one")
        return shape
    # The result has everything once: solids, free curves, and the shells of the sewn faces.
    parts = _topology.explore(shape, _topology.SOLID)
    parts += _topology.explore(shape, _topology.EDGE, outside=_topology.FACE)
    shells = _topology.explore(sewn, _topology.SHELL)
    # A face that is closed by itself, a sphere or a torus, is not sewn to any other and has no shell yet.
    alone = _topology.explore(sewn, _topology.FACE, outside=_topology.SHELL)
    parts += [_solid(shell) for shell in (*shells, *map(_topology.shell_of, alone))]
    return _topology.compound(parts)


def _tolerance(faces: list[Shape]) -> float:
    box = _geometry.quick_bounds(_topology.compound(faces))
    diagonal = math.dist(box[:3], box[3:]) if box else 0.0
    low, high = BOUNDS
    return min(max(RELATIVE_TOLERANCE * diagonal, low), high)


def _solid(shell: Shape) -> Shape:
    """Return the solid of a closed shell; an open shell stays as it is."""
    try:
        return _topology.solid_of(shell) if _topology.is_closed(shell) else shell
    except Failure:
        return shell
