"""The volume of a shape's tessellation, by which that of its surfaces is checked where there is doubt."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cadml_plugins.formats.kernel import _geometry, _tessellation, _topology
from cadml_plugins.formats.kernel._occt import Failure, Shape, kernel_class, kernel_function, reason
from cadml_plugins.formats.mesh._hull import hull_volume

DEFLECTION = 4e-3
"""Of the first tessellation, over the diagonal of the box; the second is four times as fine."""
ANGLE = 0.2
"""Largest angle between facets of the first tessellation, in radians; of the second, half of it."""
SECONDS = 4.0
"""CPU time for all checks of a file, as far as the kernel can be stopped: between two faces."""
FINER = 8.0
"""The second tessellation may take so many times as long as the first."""
HULL_MARGIN = 1.05
"""How much more than the hull of the facets' corners, as it is estimated, a good volume may be."""
LARGEST = 1e9
"""Coordinate in millimetres, beyond which no part lies: the kernel may not end on faces of damaged files."""

_Mesher = kernel_class("BRepMesh_IncrementalMesh")
_Props = kernel_class("GProp_GProps")
_clean = kernel_function("BRepTools", "Clean")
_volume = kernel_function("BRepGProp", "VolumeProperties")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A signed volume in mm³ and a bound of its error."""

    volume: float
    error: float
    hull: float = math.inf
    """What the convex hull holds at most: the volume is larger where faces meet one another."""

    def agrees(self, volume: float) -> bool:
        """Tell whether a volume is the same, whatever its sign."""
        return abs(abs(volume) - abs(self.volume)) <= self.error


class Budget:
    """How much CPU time, in seconds, the checks of a file may still take."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self.left = seconds


def volume_of_facets(shape: Shape, budget: Budget) -> Estimate | str:
    """Return the volume within the tessellation of a shape; why there is none where it costs too much.

    The volume of a tessellation approaches that of the shape in proportion to the deflection. So two give the
    limit and, by their difference, its error (L. F. Richardson, 1911). The shape keeps no tessellation.
    """
    box = _geometry.quick_bounds(shape)
    faces = _topology.distinct(shape, _topology.FACE)
    if box is None or not all(_sensible(_geometry.quick_bounds(face)) for face in faces):
        return "its faces have no sensible size"
    deflection = DEFLECTION * math.dist(box[:3], box[3:])
    try:
        before = budget.left
        coarse = _tessellated(shape, faces, deflection, ANGLE, budget)
        if coarse is None or FINER * (before - budget.left) > budget.left:
            return "its facets take too long"
        fine = _tessellated(shape, faces, deflection / 4.0, ANGLE / 2.0, budget)
        hull = HULL_MARGIN * _hull(faces)
    except Failure as failure:
        return f"it has no facets: {reason(failure)}"
    finally:
        _clean(shape)
    if fine is None:
        return "its facets take too long"
    # Both may be equal. Of a cylinder with facets at an angle a to one another, a²/6 of the volume are
    # missing.
    error = abs(fine - coarse) + (ANGLE / 2.0) ** 2 / 6.0 * abs(fine)
    return Estimate(fine + (fine - coarse) / 3.0, error, hull)


def _hull(faces: Sequence[Shape]) -> float:
    points = np.concatenate([_tessellation.triangles(face)[0] for face in faces])
    return hull_volume(points) if len(points) else 0.0


def _sensible(bounds: _geometry.Bounds | None) -> bool:
    """Tell whether a box is that of a part; a face without points does no harm."""
    return bounds is None or all(abs(value) < LARGEST for value in bounds)  # false for what is no number


def _tessellated(
    shape: Shape, faces: Sequence[Shape], deflection: float, angle: float, budget: Budget
) -> float | None:
    """Return the volume within the facets, None where the time runs out."""
    _clean(shape)
    for face in faces:
        start = time.process_time()
        _Mesher(face, deflection or 1.0, False, angle, False)
        budget.left -= time.process_time() - start
        if budget.left < 0.0:
            return None
    properties = _Props()
    _volume(shape, properties, False, False, True)
    return float(properties.Mass())
