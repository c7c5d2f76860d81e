"""How the features of two parts differ, slot by slot."""

from __future__ import annotations

import msgspec
import numpy as np

from cadml_core.catalog.store import Catalog
from cadml_core.contracts.features import FeatureVersion
from cadml_core.documents.arrays import FloatMatrix, FloatVector
from cadml_core.search.questions import Contribution
from cadml_core.search.spaces import Space


class SlotDifference(msgspec.Struct, frozen=True):
    """One slot of two parts."""

    slot: str
    unit: str
    a: float
    """Raw value of the first part."""
    b: float
    difference: float
    """``b - a``."""
    share: float
    """Of the squared distance between both in the scaled space; the shares sum to 1, or are all 0."""


class FeatureDifference(msgspec.Struct, frozen=True):
    """Two parts compared."""

    id_a: str
    id_b: str
    feature_version: str
    distance: float
    """In the scaled space: Euclidean, or ``1 - cosine``."""
    slots: tuple[SlotDifference, ...]
    """In the order of the slots."""


def feature_difference(catalog: Catalog, feature: FeatureVersion, id_a: str, id_b: str) -> FeatureDifference:
    """Compare the vectors of two parts.

    Raises:
        NotFound: A part is unknown, or has no vector of this feature version.
    """
    space = Space(feature, "scaled")
    one, other = (catalog.vector(part_id, feature.name).values for part_id in (id_a, id_b))
    [reasons] = explain(space, one, other[np.newaxis, :])
    return FeatureDifference(
        id_a=id_a,
        id_b=id_b,
        feature_version=feature.name,
        distance=space.distance(one, other),
        slots=tuple(
            SlotDifference(item.slot, slot.unit, item.query, item.hit, item.hit - item.query, item.share)
            for slot, item in zip(feature.slots, reasons, strict=True)
        ),
    )


def explain(space: Space, query: FloatVector, others: FloatMatrix) -> list[tuple[Contribution, ...]]:
    """Explain the distances between a raw vector and each of others, slot by slot."""
    names = [slot.name for slot in space.feature.slots]
    mine = query.tolist()
    return [
        tuple(map(Contribution, names, shares, mine, values))
        for shares, values in zip(space.shares(query, others).tolist(), others.tolist(), strict=True)
    ]
