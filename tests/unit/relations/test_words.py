"""Relations in words: what an engineer reads."""

from __future__ import annotations

import math

import pytest

from cadml_core.relations.relate import relate
from cadml_core.relations.relation import Difference, Relation
from cadml_core.relations.words import describe, difference, length
from tests.unit.formats import kernel_parts as parts
from tests.unit.relations import solids


@pytest.mark.parametrize(
    ("relation", "words"),
    [
        (Relation("identical", "bytes"), "identical file"),
        (Relation("scaled", "features", scale=1.5), "1.5 ×"),
        (Relation("scaled", "features", scale=25.4, mirrored=True), "25.4 ×, mirrored"),
        (Relation("multiple", "features", count=2), "2 × this part"),
        (Relation("contains", "features", count=3), "contains this part 3 ×"),
        (Relation("part_of", "features", count=1), "is part of it"),
        (
            Relation(
                "variant",
                "features",
                differences=(Difference("thickness", 10, 14), Difference("volume", 100, 138)),
            ),
            "variant: thickness 14 instead of 10 mm, volume +38 %",
        ),
        (
            Relation("similar", "none", candidate="same", reason="the faces are split otherwise"),
            "similar; perhaps the same part, undecided: the faces are split otherwise",
        ),
    ],
)
def test_a_relation_is_one_line(relation: Relation, words: str) -> None:
    """Kind first, then what differs, then what is undecided."""
    assert describe(relation) == words


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (Difference("hole", 2, 4, at=6.0), "2 holes Ø 6 mm more"),
        (Difference("hole", 2, 1, at=5.5), "1 hole Ø 5.5 mm fewer"),
        (Difference("diameter", 5.0, 6.0), "Ø 6 instead of 5 mm"),
        (Difference("volume", 100.0, 99.5), "volume -0.5 %"),
        (Difference("faces", 10, 13), "3 faces more"),
    ],
)
def test_a_difference_names_both_values(item: Difference, words: str) -> None:
    """Units, counts and percentages as they are spoken."""
    assert difference(item) == words


def test_lengths_have_the_unit_that_reads_well() -> None:
    """Micrometres below a tenth of a millimetre."""
    assert [length(value) for value in (0.0005, 0.05, 0.25, 12.0)] == ["0.5 µm", "50 µm", "0.25 mm", "12 mm"]


@pytest.mark.parametrize(
    ("axis", "angle", "words"),
    [
        ((0, 0, 1), 0.0, "same part, in the same place"),
        ((1, 0, 0), 90, "same part, turned 90° about x"),
        ((0, 1, 0), -60, "same part, turned -60° about y"),
        ((0, 0, 1), 180, "same part, turned 180° about z"),
        ((1, 1, 1), 30, "same part, turned 30° about (0.58, 0.58, 0.58)"),
    ],
)
def test_a_turn_is_told(axis: tuple[float, ...], angle: float, words: str) -> None:
    """The smallest turn that takes one part to the other, about a named axis where it is one."""
    part = (
        solids.depths((4, 8, 12, 16))
        if angle == 0
        else parts.cut(parts.box(30, 20, 10), parts.cylinder(2, 40, x=8, y=6, z=4))
    )
    copy = solids.turned(part, axis, math.radians(angle))
    assert describe(relate(solids.subject(part), solids.subject(copy))) == words


def test_a_thicker_plate_with_other_holes() -> None:
    """The measured differences of two plates are those that were made."""

    def plate(thickness: float, diameter: float) -> solids.Shape:
        holes = [parts.cylinder(diameter / 2, 50, x=x, y=10, z=-5) for x in (10, 30, 50)]
        return parts.cut(parts.box(60, 20, thickness), *holes)

    words = describe(relate(solids.subject(plate(10, 5)), solids.subject(plate(14, 5))))
    assert words == "variant: thickness 14 instead of 10 mm, volume +40 %"
    words = describe(relate(solids.subject(plate(10, 5)), solids.subject(plate(10, 6))))
    assert words.startswith("variant: Ø 6 instead of 5 mm, volume -")
