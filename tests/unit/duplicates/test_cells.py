"""Points near another are found, whenever they were added."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cadml_core.duplicates.cells import Cells

COORDINATE = st.integers(-40, 40).map(lambda number: number / 10.0 + 0.013)


@given(
    points=st.lists(st.tuples(COORDINATE, COORDINATE, COORDINATE), max_size=40),
    wanted=st.tuples(COORDINATE, COORDINATE, COORDINATE),
    before=st.integers(0, 40),
    axes=st.integers(1, 3),
)
def test_near_points_are_found(
    points: list[tuple[float, ...]], wanted: tuple[float, ...], before: int, axes: int
) -> None:
    """Exactly those within reach, the nearest first; of more than are wanted the nearest."""
    table = np.array(points).reshape(-1, 3)
    names = [str(place) for place in range(len(points))]
    cells = Cells(0.55, axes, names[:before], table[:before])
    for name, point in zip(names[before:], points[before:], strict=True):
        cells.add(name, point)
    gaps = np.abs(table - np.array(wanted)).max(axis=1, initial=0.0)
    expected = sorted((float(gap), name) for gap, name in zip(gaps, names, strict=True) if gap <= 0.55)
    assert cells.near(wanted, 100) == [name for _, name in expected]
    assert cells.near(wanted, 2) == [name for _, name in expected][:2]


def test_a_name_with_several_points_is_found_once() -> None:
    """Also where one of them was there before."""
    cells = Cells(1.0, 2, ["a", "a"], np.zeros((2, 2)))
    cells.add("a", (0.0, 0.0))
    cells.add("b", (0.5, 0.5))
    assert cells.near((0.0, 0.0), 10) == ["a", "b"]
