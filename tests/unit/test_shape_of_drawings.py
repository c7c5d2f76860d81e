"""What the feature version shape promises of drawings: turned, mirrored, scaled and degenerate ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cadml_core import BoundingBox, CadDocument, FloatMatrix, TriangleMesh, UnsupportedContent
from cadml_plugins.features.shape._description import DRAWING, PLACES, SURFACE
from cadml_plugins.features.shape._drawing import DRAWING_BLOCKS
from cadml_plugins.features.shape._metric import APART, INDEXED
from cadml_plugins.features.shape.version import ShapeVersion

SHAPE = ShapeVersion()
Floats = NDArray[np.float64]


class Drawn:
    """A view that holds polylines."""

    flat = True
    upright = False

    def __init__(self, curves: Sequence[FloatMatrix]) -> None:
        self._curves = curves

    def mesh(self) -> TriangleMesh | None:
        """Return None: a drawing has no facets."""

    def lines(self, axes: FloatMatrix) -> Sequence[FloatMatrix] | None:
        """Return None: a drawing has no faces that hide lines."""

    def curves(self) -> Sequence[FloatMatrix]:
        """Return the polylines."""
        return self._curves


def values(curves: Sequence[Floats]) -> Floats:
    """Return the raw values of a drawing of polylines."""
    document = CadDocument(
        format="dxf",
        entity_counts={"LWPOLYLINE": len(curves)},
        bounding_box=BoundingBox((0.0, 0.0, 0.0), (1.0, 1.0, 0.0)),
        view=Drawn(curves),
    )
    return np.asarray(SHAPE.extract(document))


def rectangle(width: float, height: float) -> Floats:
    """Return a closed outline."""
    return np.array([(0, 0, 0), (width, 0, 0), (width, height, 0), (0, height, 0), (0, 0, 0)], float)


def circle(x: float, y: float, radius: float) -> Floats:
    """Return a closed polyline of 72 pieces."""
    turns = np.linspace(0.0, 2 * np.pi, 73)
    return np.column_stack([x + radius * np.cos(turns), y + radius * np.sin(turns), np.zeros(73)])


def plate(holes: int = 3, width: float = 120.0) -> list[Floats]:
    """Return a plate with a row of holes, nearer to one end, and a slot."""
    row = [circle(12.0 + 20.0 * number, 15.0, 4.0) for number in range(holes)]
    return [rectangle(width, 60.0), *row, rectangle(30.0, 8.0) + np.array([70.0, 40.0, 0.0])]


def moved(curves: Sequence[Floats], angle: float, flip: float = 1.0) -> list[Floats]:
    """Return curves turned about the origin and shifted; mirrored where ``flip`` is -1."""
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    return [(curve * [flip, 1.0, 1.0]) @ turn.T + [310.0, -45.0, 0.0] for curve in curves]


def apart(one: Floats, other: Floats) -> float:
    """Return the distance of two drawings."""
    return float(SHAPE.refine(one, other[np.newaxis])[0])


@settings(max_examples=25, deadline=None)
@given(st.floats(0.0, 6.3), st.sampled_from([1.0, -1.0]))
def test_a_turned_or_mirrored_drawing_is_nearer_than_a_sibling(angle: float, flip: float) -> None:
    """Another number of holes, or another length, counts more."""
    own = values(plate())
    other = apart(own, values(moved(plate(), angle, flip)))
    assert other < apart(own, values(plate(holes=1)))
    assert other < apart(own, values(plate(width=200.0)))


def test_the_same_drawing_has_the_same_values_to_the_bit() -> None:
    """Half precision holds them, and the flags say what it is."""
    one = values(plate())
    assert np.array_equal(one, values(plate()))
    assert np.array_equal(one, one.astype(np.float16).astype(np.float64))
    assert (one[SURFACE], one[DRAWING]) == (0.0, 1.0)
    assert apart(one, one) == 0.0


def test_drawings_are_far_from_parts() -> None:
    """For the index as for the ranking; a solid's figures do not matter."""
    solid = np.zeros(len(SHAPE.slots))
    solid[SURFACE] = 1.0
    drawn = values(plate())
    assert apart(drawn, solid) == apart(solid, drawn) == APART
    vectors = SHAPE.embed(np.array([drawn, solid]))
    assert vectors.shape == (2, INDEXED + 1)
    assert np.linalg.norm(vectors[0] - vectors[1]) >= APART


def test_an_explanation_names_blocks_of_drawings() -> None:
    """The shares of all blocks sum to 1, and none is of a surface."""
    [shares] = SHAPE.block_shares(values(plate()), values(plate(width=200.0))[np.newaxis])
    named = dict(zip(SHAPE.blocks, shares.tolist(), strict=True))
    assert sum(named.values()) == pytest.approx(1.0)
    assert sum(named[name] for name in DRAWING_BLOCKS) == pytest.approx(1.0)
    assert named["extent"] > named["entities"]


def test_only_the_extent_knows_the_size() -> None:
    """A drawing at ten times the size differs in one block."""
    one, other = values(plate()), values([10.0 * curve for curve in plate()])
    differ = {name for name, place in PLACES.items() if np.abs(one[place] - other[place]).max() > 5e-3}
    assert differ == {"extent"}


@pytest.mark.parametrize(
    "curves",
    [
        [np.array([(0, 0, 0), (5, 0, 0)], float)],
        [np.array([(0, 0, 0), (1e-9, 0, 0)], float)],
        [np.array([(1e9, 1e9, 0), (1e9 + 1, 1e9, 0), (1e9 + 1, 1e9 + 1, 0)], float)],
        [circle(0.0, 0.0, 1e7)],
        [np.zeros((2, 3)), rectangle(1.0, 1e-6)],
        [rectangle(10.0, 10.0)] * 500,
    ],
    ids=["line", "tiny", "far", "huge", "flat", "many"],
)
def test_degenerate_drawings_have_finite_values(curves: list[Floats]) -> None:
    """They can be embedded, and are at no distance from themselves."""
    found = values(curves)
    assert np.isfinite(found).all()
    assert np.isfinite(SHAPE.embed(found[np.newaxis])).all()
    assert apart(found, found) == 0.0


@pytest.mark.parametrize("curves", [[], [np.zeros((3, 3))]], ids=["nothing", "no length"])
def test_a_drawing_without_strokes_is_refused(curves: list[Floats]) -> None:
    """Words and points have no shape."""
    with pytest.raises(UnsupportedContent, match="drawings"):
        values(curves)
