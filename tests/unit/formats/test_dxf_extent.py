"""Extents without strays, and outlines reduced to what extents need."""

from __future__ import annotations

import itertools

import ezdxf
import numpy as np
import pytest

from cadml_plugins.formats.dxf._extent import reduced, robust_extent
from cadml_plugins.formats.dxf._outlines import outline


def reach(points: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return how far the points reach in each direction."""
    return np.asarray((points @ directions.T).max(axis=0))


@pytest.mark.parametrize("trial", range(60))
def test_a_flat_outline_keeps_its_extents(trial: int) -> None:
    """The hull of flat points reaches as far as the points in every direction, however they lie."""
    noise = np.random.default_rng(trial)
    points = np.zeros((noise.integers(1, 300), 3))
    points[:, :2] = (
        noise.integers(-4, 5, points[:, :2].shape) if trial % 2 else noise.normal(size=(len(points), 2))
    )
    if trial % 5 == 0:
        points[:, 1] = 2 * points[:, 0]
    if trial % 7 == 0:
        points[:] = points[0]
    directions = noise.normal(size=(40, 3))
    assert reach(reduced(points), directions) == pytest.approx(reach(points, directions))


@pytest.mark.parametrize("seed", range(5))
def test_a_spline_of_uneven_knots_keeps_its_bends(seed: int) -> None:
    """A bend within a short interval of the parameter belongs to the box; the error is below 1e-4 of it."""
    noise = np.random.default_rng(seed)
    knots = np.cumsum(10.0 ** noise.uniform(-4, 2, 37))
    control = [(x, y, 0.0) for x, y in noise.uniform(-50, 50, (40, 2)).tolist()]
    spline = ezdxf.new().modelspace().add_open_spline(control, degree=3)
    spline.knots = [0.0] * 4 + (knots[:36] - knots[0] + 1e-4).tolist() + [float(knots[36] - knots[0])] * 4
    found = outline(spline)
    curve = spline.construction_tool()
    spans = np.unique(curve.knots())
    places = np.concatenate([np.linspace(*pair, 500) for pair in itertools.pairwise(spans)])
    exact = np.array([point.xyz for point in curve.points(places.tolist())])
    assert found.min(axis=0) == pytest.approx(exact.min(axis=0), abs=1e-2)
    assert found.max(axis=0) == pytest.approx(exact.max(axis=0), abs=1e-2)


def test_a_dense_outline_becomes_small() -> None:
    """A hundred thousand points leave only their rim."""
    points = np.zeros((100_000, 3))
    points[:, :2] = np.random.default_rng(1).uniform(size=(100_000, 2))
    assert len(reduced(points)) < 200


def test_a_spatial_outline_keeps_its_extents() -> None:
    """Spatial points stay as they are but for repetitions, and become a box where they are many."""
    points = np.random.default_rng(2).normal(size=(1000, 3))
    assert sorted(map(tuple, reduced(np.concatenate([points, points])))) == sorted(map(tuple, points))
    many = np.random.default_rng(3).normal(size=(30_000, 3))
    corners = reduced(many)
    assert corners.shape == (8, 3)
    assert np.array_equal(corners.min(axis=0), many.min(axis=0))
    assert np.array_equal(corners.max(axis=0), many.max(axis=0))


def boxes(*spans: tuple[float, float]) -> np.ndarray:
    """Return boxes that span so much on every axis."""
    return np.array([[low] * 3 + [high] * 3 for low, high in spans], dtype=float)


def test_corners_may_come_in_any_order() -> None:
    """A box is given by any two opposite corners."""
    extent = robust_extent(boxes((3, 1), (0, 2)))
    assert (extent.low[0], extent.high[0]) == (0, 3)


def test_few_entities_are_not_judged() -> None:
    """Among fewer than ten entities distance alone makes no stray; only 'nowhere' does."""
    assert not robust_extent(boxes((0, 1), (0, 1), (1e6, 1e6 + 1))).stray.any()
    assert robust_extent(boxes((0, 1), (1e20, 1e20))).stray.tolist() == [False, True]


def test_where_all_are_nowhere_none_is_stray() -> None:
    """Something has to decide the box."""
    assert not robust_extent(boxes((1e20, 1e20), (2e20, 2e20))).stray.any()


def test_a_cluster_apart_is_no_stray() -> None:
    """Two views of a part, far from each other, both count: strays are single."""
    near, far = [(x, x + 1) for x in range(50)], [(1e6 + x, 1e6 + x + 1) for x in range(50)]
    assert not robust_extent(boxes(*near, *far)).stray.any()


def test_coinciding_entities_have_no_strays() -> None:
    """Where all but one lie in one point there is no measure of far."""
    assert not robust_extent(boxes(*[(5, 5)] * 20, (6, 6))).stray.any()
