"""The rows on which a model is tried reach where a row of zeros does not."""

from __future__ import annotations

import numpy as np
import pytest

from cadml_core.classifier.rows import MAX_ROWS, trial_rows


@pytest.mark.parametrize("width", [1, 7, 24, 64, 500])
def test_rows_are_bounded_finite_and_begin_with_zeros(width: int) -> None:
    """However many slots there are."""
    rows = trial_rows(width, 5)
    assert rows.shape[1] == width
    assert 100 < len(rows) <= MAX_ROWS
    assert np.isfinite(rows.astype(np.float32)).all()
    assert not rows[0].any()


def test_the_seed_decides() -> None:
    """The same file is always tried on the same rows, another one on others."""
    assert np.array_equal(trial_rows(22, 1), trial_rows(22, 1))
    assert not np.array_equal(trial_rows(22, 1), trial_rows(22, 2))


def test_every_slot_goes_far_to_both_sides_of_what_is_stored() -> None:
    """Alone, with all others in their middle."""
    stored = np.random.default_rng(1).normal(100.0, 5.0, (300, 9))
    rows = trial_rows(9, 1, stored)
    middle, spread = stored.mean(axis=0), stored.std(axis=0)
    for slot in range(9):
        others = np.delete(np.abs(rows - middle) < 1e-9, slot, axis=1).all(axis=1)
        moved = (rows - middle)[others, slot] / spread[slot]
        assert moved.min() <= -9.9
        assert moved.max() >= 9.9
    assert any(np.array_equal(row, part) for row in rows for part in stored)


def test_a_slot_without_spread_moves_all_the_same() -> None:
    """A catalogue of one part says nothing about how far a value may go."""
    rows = trial_rows(3, 1, np.array([[0.0, 5.0, -2.0]]))
    assert (rows.max(axis=0) > 5).all()
    assert (rows.min(axis=0) < -5).all()


def test_both_sides_of_any_likely_split_are_reached() -> None:
    """A tree that asks whether one slot is above a threshold has both branches taken, wherever it is."""
    stored = np.random.default_rng(2).normal(size=(200, 22))
    rows = trial_rows(22, 3, stored)
    for slot in range(22):
        for threshold in np.quantile(stored[:, slot], [0.01, 0.1, 0.5, 0.9, 0.99]):
            above = rows[:, slot] > threshold
            assert 5 < above.sum() < len(rows) - 5
