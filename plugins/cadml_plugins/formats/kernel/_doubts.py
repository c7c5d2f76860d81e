"""Why a volume may be wrong: tests that a true one passes, whatever the shape."""

from __future__ import annotations

import math
from collections.abc import Iterator

from cadml_core import BoundingBox
from cadml_plugins.formats.kernel._geometry import Bounds
from cadml_plugins.formats.kernel._mass import Mass

SLACK = 1e-4
"""How far, in relation to its size, a number may exceed its bound: boxes and integrals are not exact."""

EMPTY = 1e-9
"""Of what a ball of the same surface holds, about: the largest volume that is none."""


def of_body(mass: Mass, area: float, bounds: Bounds | None) -> Iterator[str]:
    """Yield what is impossible about a body: it exceeds its box, or what its surface can enclose.

    Args:
        area: Of the body's whole surface, in mm².
        bounds: The body's box, or a larger one.
    """
    volume = abs(mass.volume)
    if mass.volume < 0.0:
        yield "a solid is inside out"
    cube = abs(area) * math.sqrt(abs(area))  # a power raises where it is too large, a product is infinite
    if volume <= EMPTY * cube:
        yield "a closed solid encloses no volume"
    # Of all bodies with one surface area, the ball is the largest: 36 π V² <= A³.
    if 6.0 * math.sqrt(math.pi) * volume > cube * (1.0 + SLACK):
        yield f"the volume of a body, {volume:.6g} mm³, is more than its surface can enclose"
    if bounds is None:
        return
    low, high = bounds[:3], bounds[3:]
    if volume > math.prod(b - a for a, b in zip(low, high, strict=True)) * (1.0 + SLACK):
        yield f"the volume of a body, {volume:.6g} mm³, is larger than its box"
    if volume and _outside(mass.centroid.tolist(), low, high):
        yield "the centroid of a body lies outside its box"


def of_file(volume: float, centroid: tuple[float, ...], box: BoundingBox) -> Iterator[str]:
    """Yield what is impossible about all bodies together."""
    if volume > math.prod(box.extents) * (1.0 + SLACK):
        yield f"the volumes add up to {volume:.6g} mm³, more than the box holds; bodies overlap"
    if volume and _outside(centroid, box.minimum, box.maximum):
        yield "the centroid lies outside the box"


def _outside(point: list[float] | tuple[float, ...], low: tuple[float, ...], high: tuple[float, ...]) -> bool:
    slack = SLACK * math.dist(low, high)
    return any(
        value < first - slack or value > last + slack
        for value, first, last in zip(point, low, high, strict=True)
    )
