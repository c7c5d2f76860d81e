"""The drawing units of ``$INSUNITS`` in millimetres."""

from __future__ import annotations

from typing import NamedTuple

_INCH = 25.4
# The US survey foot is defined as 1200/3937 m, two millionths longer than the international foot.
_SURVEY_FOOT = 1200.0 / 3937.0 * 1000.0


class Unit(NamedTuple):
    """A unit of length."""

    name: str
    millimetres: float


UNITS: dict[int, Unit] = {
    1: Unit("inch", _INCH),
    2: Unit("foot", 12 * _INCH),
    3: Unit("mile", 63_360 * _INCH),
    4: Unit("mm", 1.0),
    5: Unit("cm", 10.0),
    6: Unit("m", 1e3),
    7: Unit("km", 1e6),
    8: Unit("microinch", 1e-6 * _INCH),
    9: Unit("mil", 1e-3 * _INCH),
    10: Unit("yard", 36 * _INCH),
    11: Unit("angstrom", 1e-7),
    12: Unit("nm", 1e-6),
    13: Unit("um", 1e-3),
    14: Unit("dm", 100.0),
    15: Unit("dam", 1e4),
    16: Unit("hm", 1e5),
    17: Unit("Gm", 1e12),
    18: Unit("au", 149_597_870_700e3),
    19: Unit("light year", 9_460_730_472_580_800e3),
    20: Unit("parsec", 3.0856775814913673e19),
    21: Unit("survey foot", _SURVEY_FOOT),
    22: Unit("survey inch", _SURVEY_FOOT / 12),
    23: Unit("survey yard", 3 * _SURVEY_FOOT),
    24: Unit("survey mile", 5280 * _SURVEY_FOOT),
}
"""The values of ``$INSUNITS`` in the DXF reference; 0 means that the drawing has none."""
