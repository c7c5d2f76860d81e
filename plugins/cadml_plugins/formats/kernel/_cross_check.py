"""The volume of a shape's tessellation, by which that of its surfaces is checked where there is doubt."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from cadml_plugins.formats.kernel import _geometry
from cadml_plugins.formats.kernel._occt import Failure, Shape, kernel_class, kernel_function

DEFLECTION = 4e-3
"""Of the first tessellation, over the diagonal of the box; the second is four times as fine."""
ANGLE = 0.2
"""Largest angle between facets of the first tessellation, in radians; of the second, half of it."""
SECONDS = 0.5
"""Where the first tessellation takes longer, the second is not made: it may take ten times as long, and
nothing can stop the kernel."""

_Mesher = kernel_class("BRepMesh_IncrementalMesh")
_Props = kernel_class("GProp_GProps")
_clean = kernel_function("BRepTools", "Clean")
_volume = kernel_function("BRepGProp", "VolumeProperties")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A signed volume in mm³ and a bound of its error."""

    volume: float
    error: float

    def agrees(self, volume: float) -> bool:
        """Tell whether a volume is the same, whatever its sign."""
        return abs(abs(volume) - abs(self.volume)) <= self.error


def volume_of_facets(shape: Shape) -> Estimate | None:
    """Return the volume within the tessellation of a shape, None where it cannot be known at little cost.

    The volume of a tessellation approaches that of the shape in proportion to the deflection. So two give the
    limit and, by their difference, its error (L. F. Richardson, 1911). The shape keeps no tessellation.
    """
    box = _geometry.quick_bounds(shape)
    if box is None:
        return None
    deflection = DEFLECTION * math.dist(box[:3], box[3:])
    try:
        start = time.process_time()
        coarse = _tessellated(shape, deflection, ANGLE)
        if time.process_time() - start > SECONDS:
            return None
        fine = _tessellated(shape, deflection / 4.0, ANGLE / 2.0)
    except Failure:
        return None
    finally:
        _clean(shape)
    # Both may be equal. Of a cylinder with facets at an angle a to one another, a²/6 of the volume are
    # missing.
    error = abs(fine - coarse) + (ANGLE / 2.0) ** 2 / 6.0 * abs(fine)
    return Estimate(fine + (fine - coarse) / 3.0, error)


def _tessellated(shape: Shape, deflection: float, angle: float) -> float:
    _clean(shape)
    _Mesher(shape, deflection or 1.0, False, angle, False)
    properties = _Props()
    _volume(shape, properties, False, False, True)
    return float(properties.Mass())
