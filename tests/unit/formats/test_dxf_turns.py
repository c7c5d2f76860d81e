"""Arcs and ellipses that go all the way round, however their writers round two pi."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cadml_plugins.formats.dxf import _document
from cadml_plugins.formats.dxf._outlines import arc_box, arc_span, bulged, bulged_box
from tests.unit.formats.test_dxf import box, drawing, edge_path, read

WRITTEN = (6.28318530718, 6.283185307179587, 6.2831853071796, 6.2831854, 6.28319, 6.283185307, math.tau)
"""Two pi as programs write it."""
Draw = Callable[[Any, float], object]


def an_ellipse(model: Any, end: float) -> object:
    """The ellipse of half axes 4 and 2."""
    return model.add_ellipse((0, 0), (4, 0), 0.5, 0, end)


def a_shifted_ellipse(model: Any, end: float) -> object:
    """The same from the left end on."""
    return model.add_ellipse((0, 0), (4, 0), 0.5, 3.14159265359, 3.14159265359 + end)


def an_arc(model: Any, end: float) -> object:
    """A circle of radius 2, stretched by its block."""
    return model.add_arc((0, 0), 2, 0, math.degrees(end))


def an_edge(model: Any, end: float) -> object:
    """The ellipse as the boundary of a hatch."""
    return edge_path(model).add_ellipse((0, 0), (4, 0), 0.5, 0, math.degrees(end))


@pytest.mark.parametrize("end", WRITTEN)
@pytest.mark.parametrize(
    ("draw", "width"), [(an_ellipse, 4), (a_shifted_ellipse, 4), (an_arc, 2), (an_edge, 4)]
)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_whole_turn_has_the_whole_box(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, draw: Draw, width: float, end: float, streamed: bool
) -> None:
    """A curve that ends at about two pi reaches as far as one that ends there exactly."""
    if streamed:
        monkeypatch.setattr(_document, "STREAM_BYTES", 0)
    document = read(drawing(tmp_path / "part.dxf", lambda _, model: draw(model, end)))
    assert box(document) == pytest.approx((-width, -2, 0, width, 2, 0), abs=1e-6)


@pytest.mark.parametrize("end", WRITTEN)
def test_a_whole_turn_in_a_placed_block(tmp_path: Path, end: float) -> None:
    """The outline of a block is whole too: placed askew, the ellipse reaches as far as it should."""

    def draw(document: Any, model: Any) -> None:
        an_ellipse(document.blocks.new("B"), end)
        model.add_blockref("B", (0, 0), {"rotation": 30})

    reach = math.hypot(4 * math.cos(math.pi / 6), 2 * math.sin(math.pi / 6))
    assert box(read(drawing(tmp_path / "part.dxf", draw)))[3] == pytest.approx(reach, rel=2e-4)


@pytest.mark.parametrize(
    ("start", "end", "span"),
    [
        (0.0, 0.0, math.tau),
        (1.0, 1.0, math.tau),
        (math.tau, 0.0, math.tau),
        (6.283185307, 0.0, math.tau),
        (0.0, math.pi, math.pi),
        (math.pi, 0.0, math.pi),
        (0.0, 1e-6, 1e-6),
        (math.tau - 1e-6, 1e-6, 2e-6),
        (math.tau - 1e-6, math.tau + 1e-6, 2e-6),
        (0.0, math.tau - 0.01, math.tau - 0.01),
        (0.0, math.tau + 0.01, 0.01),
    ],
)
def test_short_arcs_stay_short(start: float, end: float, span: float) -> None:
    """Only what is a whole turn but for rounding is one; an arc across the zero direction is not."""
    assert arc_span(start, end) == pytest.approx(span, abs=1e-9)


@given(st.floats(-100, 100), st.floats(-100, 100), st.floats(0.1, 50), st.floats(0, 7), st.floats(1e-8, 0.2))
def test_a_flat_bulge_is_no_circle(x: float, y: float, length: float, turn: float, bulge: float) -> None:
    """A slightly curved segment lies within its rise of the chord, in whatever direction its centre is."""
    end = (x + length * math.cos(turn), y + length * math.sin(turn))
    for signed in (bulge, -bulge):
        vertices = [(x, y, signed), (*end, 0.0)]
        low_x, low_y, _, high_x, high_y, _ = bulged_box(vertices, False, 0.0)
        rise = bulge * length / 2 + 1e-6 * (1 + length / bulge)
        assert low_x > min(x, end[0]) - rise
        assert high_x < max(x, end[0]) + rise
        assert low_y > min(y, end[1]) - rise
        assert high_y < max(y, end[1]) + rise
        assert len(bulged(vertices, False, 0.0)) < 60


def test_the_quick_box_is_that_of_the_points() -> None:
    """Both ways to an arc's box agree on a whole turn."""
    assert arc_box((1.0, 2.0, 3.0), 5.0, 0.0, 6.28318530718) == pytest.approx((-4, -3, 3, 6, 7, 3))
