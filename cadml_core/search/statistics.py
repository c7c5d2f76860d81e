"""What the catalogue holds, in numbers: counts of parts and the spread of each slot."""

from __future__ import annotations

import msgspec
import numpy as np

from cadml_core.catalog.counts import count_parts, count_vectors
from cadml_core.catalog.store import Catalog
from cadml_core.contracts.features import FeatureVersion


class SlotStatistics(msgspec.Struct, frozen=True):
    """The spread of one slot's raw values."""

    slot: str
    mean: float
    standard_deviation: float
    """Of the population; 0 for one vector."""
    minimum: float
    maximum: float


class VectorStatistics(msgspec.Struct, frozen=True):
    """Counts and spreads. Parts without a format or material count under the empty name."""

    total_parts: int
    total_vectors: int
    by_format: dict[str, int]
    by_material: dict[str, int]
    by_version: dict[str, int]
    """Vectors, not parts."""
    feature_version: str
    slots: tuple[SlotStatistics, ...]
    """Of that version, in the order of its slots; empty where no part has a vector of it."""


def vector_statistics(catalog: Catalog, feature: FeatureVersion) -> VectorStatistics:
    """Count the catalogue's parts, and describe the raw values of one feature version."""
    by_format = count_parts(catalog, "format")
    by_version = count_vectors(catalog)
    return VectorStatistics(
        total_parts=sum(by_format.values()),
        total_vectors=sum(by_version.values()),
        by_format=by_format,
        by_material=count_parts(catalog, "material"),
        by_version=by_version,
        feature_version=feature.name,
        slots=_slots(catalog, feature),
    )


def _slots(catalog: Catalog, feature: FeatureVersion) -> tuple[SlotStatistics, ...]:
    rows, values = catalog.vectors(feature.name)
    if not len(rows):
        return ()
    # Scaled first: the squares of the largest raw values would overflow.
    largest = np.abs(values).max(axis=0)
    scale = np.where(largest > 0.0, largest, 1.0)
    columns = zip(
        values.mean(axis=0).tolist(),
        ((values / scale).std(axis=0) * scale).tolist(),
        values.min(axis=0).tolist(),
        values.max(axis=0).tolist(),
        strict=True,
    )
    return tuple(
        SlotStatistics(slot.name, *numbers) for slot, numbers in zip(feature.slots, columns, strict=True)
    )
