"""What a size tells of the unit that STL does not state."""

from __future__ import annotations

from cadml_core import CadDocument, LengthUnit

MILLIMETRE = LengthUnit("mm", 1.0)
_SMALL = 10.0
"""Millimetres. Few machine parts are smaller, while most are between 10 mm and 1 m: in inches or metres, that
is below 40 or 1."""
_ASSUMED = "STL states no unit; millimetres are assumed"


def unit_warning(document: CadDocument) -> str:
    """Return what to say of a document that was read as millimetres.

    One file alone cannot tell a small part from one in a larger unit, so both sizes are named.
    """
    largest = max(document.bounding_box.extents) if document.bounding_box else 0.0
    if not 0.0 < largest < _SMALL:
        return _ASSUMED
    return (
        f"{_ASSUMED}, which makes the largest extent only {largest:.4g} mm. In inches it would be"
        f" {25.4 * largest:.4g} mm, in metres {1000.0 * largest:.5g} mm: state the unit if it is another"
    )
