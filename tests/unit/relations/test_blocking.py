"""Candidates by invariants: none of the copies is missed, and few others are found."""

from __future__ import annotations

import numpy as np

from cadml_core.documents.invariants import BodyInvariants
from cadml_core.relations.blocking import MESH, Rows, difference, keys


def body(volume: float, area: float, *moments: float) -> BodyInvariants:
    """A body of these measures."""
    low, middle, high = sorted(moments)
    return BodyInvariants(volume=volume, area=area, moments=(low, middle, high))


def larger(one: BodyInvariants, factor: float) -> BodyInvariants:
    """The same body in another size."""
    return body(one.volume * factor**3, one.area * factor**2, *(m * factor**2 for m in one.moments))


def bodies(count: int) -> list[BodyInvariants]:
    """Bodies of all sizes."""
    random = np.random.default_rng(1)
    return [body(*np.exp(random.normal(5.0, 1.5, 5)).tolist()) for _ in range(count)]


def test_the_same_and_the_scaled_are_found_among_many() -> None:
    """Of 5,000 bodies exactly the copies are candidates, within the tolerance and not beyond."""
    many = bodies(5000)
    wanted = many[17]
    copies = [larger(wanted, 1.0 + 5e-6), larger(wanted, 2.0), larger(wanted, 1.0 + 1e-3)]
    rows = Rows(keys([*many, *copies]))
    assert sorted(rows.same(wanted).tolist()) == [17, 5000]
    assert sorted(rows.same(wanted, MESH).tolist()) == [17, 5000, 5002]
    assert sorted(rows.scaled(wanted).tolist()) == [17, 5000, 5001, 5002]


def test_the_first_and_the_last_are_found() -> None:
    """Bisection leaves out neither end."""
    many = sorted(bodies(50), key=lambda one: one.volume)
    rows = Rows(keys(many))
    assert [rows.same(many[index]).tolist() for index in (0, 49)] == [[0], [49]]
    assert Rows(keys([])).same(many[0]).tolist() == []


def test_a_difference_is_that_of_lengths() -> None:
    """Volume counts by its cube root, area by its square root; scaled copies do not differ in shape."""
    one = bodies(1)[0]
    assert abs(difference(one, larger(one, 1.01)) - np.log(1.01)) < 1e-12
    assert difference(one, larger(one, 3.0), scaled=True) < 1e-12
