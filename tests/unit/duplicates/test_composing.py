"""What follows from two relations is what comparing the ends themselves says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cadml_core.duplicates.composing import inverse, through
from cadml_core.relations.relate import relate
from cadml_core.relations.relation import Relation, Subject
from tests.unit.duplicates.planted import Body, body, content, moved, scaled, several


def subject(one: Body, name: str) -> Subject:
    """A body to compare."""
    return Subject(name, content(one, name).document, one.features)


def agree(found: Relation, direct: Relation) -> None:
    """Require two relations to say the same, and the first to claim no more precision."""
    assert (found.kind, found.mirrored) == (direct.kind, direct.mirrored)
    assert (found.scale or 1.0) == pytest.approx(direct.scale or 1.0, rel=1e-6)
    assert np.array(found.motion) == pytest.approx(np.array(direct.motion), abs=1e-4)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), mirror=st.booleans(), factor=st.sampled_from([1.0, 2.5]))
def test_a_third_part_tells_what_the_ends_are(seed: int, mirror: bool, factor: float) -> None:
    """Motion, hand and scale compose, and turn round; tolerances add."""
    generator = np.random.default_rng(seed)
    one = body(generator)
    same = moved(one, generator)
    last = scaled(moved(same, generator, mirror=mirror), factor)
    a, b, c = subject(one, "a"), subject(same, "b"), subject(last, "c")
    to_b, b_to_c, direct = relate(a, b), relate(b, c), relate(a, c)
    found = through(to_b, b_to_c)
    agree(found, direct)
    assert (found.tolerance_mm or 0.0) == pytest.approx((to_b.tolerance_mm or 0) + (b_to_c.tolerance_mm or 0))
    assert found.deviation_mm is None
    back = inverse(direct)
    assert back is not None
    agree(back, relate(c, a))


def test_an_assembly_holds_what_is_part_of_it() -> None:
    """And nobody has a word for what a multiple is to its body."""
    generator = np.random.default_rng(0)
    one = body(generator)
    whole = subject(several([one, body(generator)], [0, 1]), "whole")
    contains = relate(subject(one, "a"), whole)
    back = inverse(contains)
    assert back is not None
    assert (contains.kind, back.kind) == ("contains", "part_of")
    double = relate(subject(one, "a"), subject(several([one, one], [0, 0]), "double"))
    assert (double.kind, inverse(double)) == ("multiple", None)
