"""The drawing units of ``$INSUNITS`` in millimetres."""

from __future__ import annotations

from cadml_core import LengthUnit

_INCH = 25.4
# The US survey foot is defined as 1200/3937 m, two millionths longer than the international foot.
_SURVEY_FOOT = 1200.0 / 3937.0 * 1000.0


UNITS: dict[int, LengthUnit] = {
    1: LengthUnit("inch", _INCH),
    2: LengthUnit("foot", 12 * _INCH),
    3: LengthUnit("mile", 63_360 * _INCH),
    4: LengthUnit("mm", 1.0),
    5: LengthUnit("cm", 10.0),
    6: LengthUnit("m", 1e3),
    7: LengthUnit("km", 1e6),
    8: LengthUnit("microinch", 1e-6 * _INCH),
    9: LengthUnit("mil", 1e-3 * _INCH),
    10: LengthUnit("yard", 36 * _INCH),
    11: LengthUnit("angstrom", 1e-7),
    12: LengthUnit("nm", 1e-6),
    13: LengthUnit("um", 1e-3),
    14: LengthUnit("dm", 100.0),
    15: LengthUnit("dam", 1e4),
    16: LengthUnit("hm", 1e5),
    17: LengthUnit("Gm", 1e12),
    18: LengthUnit("au", 149_597_870_700e3),
    19: LengthUnit("light year", 9_460_730_472_580_800e3),
    20: LengthUnit("parsec", 3.0856775814913673e19),
    21: LengthUnit("survey foot", _SURVEY_FOOT),
    22: LengthUnit("survey inch", _SURVEY_FOOT / 12),
    23: LengthUnit("survey yard", 3 * _SURVEY_FOOT),
    24: LengthUnit("survey mile", 5280 * _SURVEY_FOOT),
}
"""The values of ``$INSUNITS`` in the DXF reference; 0 means that the drawing has none."""
