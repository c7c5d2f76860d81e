"""Which relations a search answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cadml_core.errors import InvalidInput
from cadml_core.relations.relation import Relation
from cadml_core.search.wanted import named, wanted

MIRRORED = Relation("mirrored", "features")
DOUBLE = Relation("scaled", "features", scale=2.0)
HELD = Relation("contains", "features", mirrored=True)
PERHAPS = Relation("same_within_mesh_error", "invariants", mirrored=True, candidate="mirrored")


def test_only_what_is_proved_is_left_out_as_a_mirror_image() -> None:
    """A container of the mirror image too; a mesh that may be one stays."""
    asked = wanted(mirror=False)
    assert [asked.admits(found) for found in (MIRRORED, HELD, PERHAPS, DOUBLE)] == [False, False, True, True]
    assert wanted().admits(MIRRORED)
    assert not wanted(["same"]).admits(MIRRORED)
    assert wanted(["same", "mirrored"]).admits(MIRRORED)


@given(st.floats(0.01, 10.0), st.floats(0.0, 1000.0))
def test_a_scale_is_within_its_share(scale: float, share: float) -> None:
    """By so many per cent of the query's size, up or down; with ``same`` never, with ``any`` always."""
    found = Relation("scaled", "features", scale=scale)
    assert wanted(scale=share).admits(found) == (abs(scale - 1.0) <= share / 100.0)
    assert wanted(scale=str(share)).admits(found) == wanted(scale=share).admits(found)
    assert wanted().admits(found)
    assert not wanted(scale="same").admits(found)


@pytest.mark.parametrize("scale", ["", "big", "nan", "inf", "-1", -0.1, 1001.0, float("nan")])
def test_impossible_scales_are_refused(scale: str | float) -> None:
    """With the field and what is allowed."""
    with pytest.raises(InvalidInput, match="allowed: any, same") as raised:
        wanted(scale=scale)
    assert raised.value.context["field"] == "scale"


def test_conditions_are_said_in_words() -> None:
    """Each that was given, none where everything is wanted."""
    assert named(wanted()) == []
    assert named(wanted(["variant", "same"], mirror=False, scale=5)) == [
        "same or variant",
        "no mirror image",
        "scaled by 5 % at most",
    ]
