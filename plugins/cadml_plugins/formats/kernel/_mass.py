"""Volume, centroid and inertia of bodies, placed and added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cadml_core import MassProperties

Placement = NDArray[np.float64]
"""A 4 x 4 matrix: a rotation and a shift in millimetres."""


@dataclass(frozen=True, slots=True)
class Mass:
    """Volume integrals at unit density."""

    volume: float
    centroid: NDArray[np.float64]
    inertia: NDArray[np.float64]
    """(3, 3), about the centroid."""

    def placed(self, placement: Placement) -> Mass:
        """Return the body in another place, scaled where the placement scales."""
        matrix, shift = placement[:3, :3], placement[:3, 3]
        times = abs(float(np.linalg.det(matrix)))
        inertia = matrix @ self.inertia @ matrix.T * times
        return Mass(self.volume * times, matrix @ self.centroid + shift, inertia)

    def reversed(self) -> Mass:
        """Return the body with its inside out."""
        return Mass(-self.volume, self.centroid, -self.inertia)


def total_mass(masses: Sequence[Mass]) -> Mass:
    """Add bodies up, by the parallel axis theorem."""
    volume = sum(mass.volume for mass in masses)
    if volume == 0.0:
        return Mass(0.0, np.zeros(3), np.zeros((3, 3)))
    centroid = sum((mass.volume * mass.centroid for mass in masses), np.zeros(3)) / volume
    inertia = np.zeros((3, 3))
    for mass in masses:
        arm = mass.centroid - centroid
        inertia += mass.inertia + mass.volume * (arm @ arm * np.eye(3) - np.outer(arm, arm))
    return Mass(volume, centroid, inertia)


def mass_properties(masses: Sequence[Mass]) -> MassProperties | None:
    """Add bodies up, after reversing those that are inside out; None where a number is not finite."""
    total = total_mass([mass if mass.volume >= 0.0 else mass.reversed() for mass in masses])
    numbers = (total.volume, *total.centroid, *total.inertia.flat)
    if not np.isfinite(numbers).all():
        return None
    moments = np.maximum(np.linalg.eigvalsh(total.inertia), 0.0)
    return MassProperties(total.volume, _triple(total.centroid), _triple(moments))


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = values.tolist()
    return x, y, z
