"""The sample parts that others are derived from, by family."""

from __future__ import annotations

from collections.abc import Callable

from cadml_hostapp.demo import solids
from cadml_hostapp.demo.solids import Solid

SIZES = (1.0, 1.35, 1.9, 2.6)
FAMILIES: dict[str, Callable[[float, int], Solid]] = {
    "plate": lambda s, n: solids.plate(80 * s, 50, 6 + n, (2 + n, 2), 6.0),
    "bracket": lambda s, n: solids.bracket(60 * s, 40 + 9 * n, 30, 5.0),
    "angle": lambda s, n: solids.bracket(90 * s, 70 + 12 * n, 40, 10.0),
    "cover": lambda s, n: solids.plate(100 * s, 80, 10, (2, 2), 6.0 + 3 * n),
    "flange": lambda s, n: solids.flange(50 * s, 18 * s, 12, 4 + 2 * n),
    "shaft": lambda s, n: solids.shaft(tuple(20 - 4.0 * i for i in range(2 + n % 3)), 35 * s),
    "washer": lambda s, n: solids.tube(12 * s, 6.4 * s, 2.0 + 0.5 * n),
    "tube": lambda s, n: solids.tube(16 + 3 * n, 12 + 2 * n, 120 * s),
    "channel": lambda s, n: solids.channel(150 * s, 40, 25 + 6 * n, 4),
    "nozzle": lambda s, n: solids.nozzle(24 * s, 10, 45 + 12 * n, 4 + n),
    "housing": lambda s, n: solids.pocketed(70 * s, 55, 30 + 7 * n, 6),
    "hub": lambda s, n: solids.clocked(40 * s, 10 + 2 * n, 0.0),
    "bearing": lambda s, n: solids.bearing(30 * s, 4 + 4 * n),
}
"""From a factor of its length, and the number of its size from 0."""


def part(family: str, number: int) -> Solid:
    """Make a part of a family, in its size from 1 to 4."""
    return FAMILIES[family](SIZES[number - 1], number - 1)
