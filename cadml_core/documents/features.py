"""Feature slots, feature vectors, and moving values between versions by slot name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from cadml_core.documents.arrays import FloatMatrix, FloatVector
from cadml_core.errors import DimensionMismatch

SlotGroup = Literal["geometric", "semantic"]


class FeatureSlot(msgspec.Struct, frozen=True):
    """One named position of a feature vector."""

    name: str
    group: SlotGroup
    since: str
    """The feature version that introduced it."""
    unit: str
    """``mm``, ``mm³``, ``count``, or ``1`` for a ratio or flag."""
    description: str


class FeatureVector(msgspec.Struct, frozen=True):
    """Raw values of one part under one feature version: float64 (number of slots,)."""

    version: str
    values: FloatVector


def convert_by_name(
    values: FloatMatrix, source: Sequence[FeatureSlot], target: Sequence[FeatureSlot]
) -> FloatMatrix:
    """Move raw values from one version's slots to another's.

    A slot that both versions have keeps its value whatever its position; a slot that only the
    target has becomes 0.0; one that only the source has is dropped.

    Args:
        values: Raw values, (n, len(source)).
        source: The slots that ``values`` has.
        target: The slots wanted.

    Returns:
        float64 (n, len(target)).

    Raises:
        DimensionMismatch: ``values`` does not have ``len(source)`` columns.
    """
    if values.ndim != 2 or values.shape[1] != len(source):
        raise DimensionMismatch(expected=len(source), found=values.shape[-1])
    column = {slot.name: index for index, slot in enumerate(source)}
    result = np.zeros((values.shape[0], len(target)), dtype=np.float64)
    for index, slot in enumerate(target):
        if slot.name in column:
            result[:, index] = values[:, column[slot.name]]
    return result
