"""The slots of the built-in feature versions: which version has which, in what order."""

from __future__ import annotations

import pytest

from cadml_core import CadDocument
from cadml_plugins.features._measures import (
    MEASURES,
    Facts,
    compute_shape_entropy,
    generation,
    measures_until,
)


def test_a_later_version_has_every_slot_of_the_earlier_ones() -> None:
    """Versions are compared by number: v10 comes after v4, and as text it would come before v2."""
    assert measures_until("v10") == measures_until("v4") == MEASURES
    assert generation("v2") < generation("v10")


@pytest.mark.parametrize(("version", "slots"), [("v1", 7), ("v2", 12), ("v3", 22), ("v4", 24)])
def test_a_version_is_a_prefix_of_the_list(version: str, slots: int) -> None:
    """A slot keeps its position in all later versions."""
    assert measures_until(version) == MEASURES[:slots]


@pytest.mark.parametrize("counts", [{}, {"plane": 7}, {"plane": 6, "cylinder": 4, "cone": 0}])
def test_the_entropy_of_counts_is_that_of_the_slot(counts: dict[str, int]) -> None:
    """The documented formula and the slot, which shares work with others, give the same number."""
    measure = MEASURES[-1]
    assert measure.slot.name == "shape_entropy"
    assert measure.of(Facts(CadDocument(format="step", entity_counts=counts))) == compute_shape_entropy(
        counts
    )


def test_what_is_no_built_in_version_is_refused() -> None:
    """A name without a number has no place in the order."""
    with pytest.raises(ValueError, match="mesh"):
        measures_until("mesh")
