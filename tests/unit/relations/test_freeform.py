"""Free-form faces that agree in area, centroid, spread and border, and differ inside."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from cadml_core.relations.blocking import EXACT, difference
from cadml_core.relations.relate import relate
from cadml_plugins.formats.kernel._occt import kernel_class
from tests.unit.formats import kernel_parts as parts
from tests.unit.relations import solids
from tests.unit.relations.solids import Shape

COUNT, DEGREE = 13, 3
"""Poles of the surface each way; their degree."""


def quilt(sign: float) -> Shape:
    """A drilled sheet with two bumps and two hollows, which change places with the sign.

    All four are away from the holes and the border, which are in a plane.
    """
    inner = COUNT - DEGREE - 1
    knots = [step / (inner + 1) for step in range(inner + 2)]
    flat = [0.0] * (DEGREE + 1) + knots[1:-1] + [1.0] * (DEGREE + 1)
    # Heights over Greville's abscissae, so that a pole moves the surface straight up.
    places = [sum(flat[pole + 1 : pole + 1 + DEGREE]) / DEGREE for pole in range(COUNT)]
    poles = kernel_class("collections:Array2_gp_Pnt", "TColgp_Array2OfPnt")(1, COUNT, 1, COUNT)
    for i, x in enumerate(places):
        for j, y in enumerate(places):
            height = (sign if i == j else -sign) * 6.0 if {i, j} <= {4, 8} else 0.0
            poles.SetValue(i + 1, j + 1, parts.point(120 * x, 80 * y, height))
    numbers = array(("collections:Array1_double", "TColStd_Array1OfReal"), knots)
    counts = array(
        ("collections:Array1_int", "TColStd_Array1OfInteger"),
        [DEGREE + 1, *[1] * inner, DEGREE + 1],
    )
    surface = kernel_class("Geom_BSplineSurface")(poles, numbers, numbers, counts, counts, DEGREE, DEGREE)
    face = kernel_class("BRepBuilderAPI_MakeFace")(surface, 1e-6).Face()
    sheet = kernel_class("BRepPrimAPI_MakePrism")(face, kernel_class("gp_Vec")(0, 0, -12)).Shape()
    through = [
        parts.cylinder(r, 100, x=x, y=y, z=-50) for r, x, y in ((2.5, 6, 7), (3.5, 112, 72), (3, 8, 70))
    ]
    return parts.cut(sheet, *through, parts.cylinder(4, 100, x=110, y=9, z=-5))


def array(names: Sequence[str], values: Sequence[float]) -> object:
    """Return the kernel's array of numbers, which begins at 1."""
    made = kernel_class(*names)(1, len(values))
    for place, value in enumerate(values, start=1):
        made.SetValue(place, value)
    return made


def test_what_differs_inside_free_form_faces_is_not_certified() -> None:
    """Features and invariants agree, and the handedness contradicts them: undecided, until meshes decide."""
    one, other = (solids.subject(quilt(sign)) for sign in (1.0, -1.0))
    assert one.document.invariants is not None
    assert other.document.invariants is not None
    assert difference(one.document.invariants.whole, other.document.invariants.whole) < EXACT
    found = relate(one, other)
    assert not found.certified
    assert found.candidate is not None
    assert found.reason == "the features match, but the handedness contradicts them"


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_same_sheet_is_certified(sign: float) -> None:
    """It is the same when it is turned."""
    found = relate(solids.subject(quilt(sign)), solids.subject(solids.turned(quilt(sign), (1, 2, 3), 0.7)))
    assert found.kind == "same"
