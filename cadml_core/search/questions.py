"""What is asked of a search, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from cadml_core.catalog.records import PartFilter
from cadml_core.contracts.features import FeatureVersion, comparable
from cadml_core.documents.arrays import FloatVector
from cadml_core.errors import DimensionMismatch, InvalidInput
from cadml_core.search.filters import SlotRange
from cadml_core.search.spaces import SpaceName


class Question(NamedTuple):
    """Everything about one search but where to search."""

    raw: FloatVector
    """Raw values of the feature version, float64 (slots,), finite."""
    k: int = 10
    metric: SpaceName = "scaled"
    which: PartFilter | None = None
    ranges: tuple[SlotRange, ...] = ()
    min_score: float = 0.0
    explain: bool = False
    exclude: int | None = None
    """A row that is not to be found: the query part itself."""


class Contribution(msgspec.Struct, frozen=True):
    """What one slot adds to the distance between the query and a hit."""

    slot: str
    share: float
    """Of the squared distance, in [0, 1]; the shares of all slots sum to 1, or are all 0 at distance 0."""
    query: float
    """Raw value."""
    hit: float


class Hit(msgspec.Struct, frozen=True, gc=False):
    """One similar part. Made by the thousand and in no cycle, so nothing for the garbage collector."""

    id: str
    score: float
    """In [0, 1]; 1.0 is identical."""
    distance: float
    """Euclidean distance of the embeddings, or ``1 - cosine`` for angles."""
    name: str
    format: str | None
    path: str | None
    material: str | None
    project: str | None
    label: str | None
    explanation: tuple[Contribution, ...] | None = None
    """In the order of the slots; None where none was asked for."""


class SearchResult(msgspec.Struct, frozen=True, gc=False):
    """Hits by descending score; equal scores by ascending row number, so the order is always the same."""

    hits: tuple[Hit, ...]
    feature_version: str
    metric: SpaceName
    backend: str
    """Name of the vector backend that answered."""
    degraded: bool = False
    """True where a stand-in answered because the chosen backend could not."""
    note: str | None = None
    """Where nothing was found: why, and what to do."""


def checked_values(values: FloatVector | Sequence[float], feature: FeatureVersion) -> FloatVector:
    """Return raw values of this feature version as float64.

    Raises:
        DimensionMismatch: There are not as many values as slots.
        InvalidInput: They are not finite numbers, or too large for an index.
    """
    try:
        raw = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"a vector must be a list of numbers: {error}", stage="similarity") from None
    if raw.shape != (len(feature.slots),):
        raise DimensionMismatch(expected=len(feature.slots), found=raw.size, stage="similarity")
    if not np.isfinite(raw).all():
        slot = feature.slots[int(np.flatnonzero(~np.isfinite(raw))[0])].name
        raise InvalidInput(f"a vector must be finite; {slot} is not", stage="similarity", slot=slot)
    if not comparable(feature, raw[np.newaxis, :])[0]:
        slot = feature.slots[int(np.argmax(np.abs(raw)))].name
        raise InvalidInput(
            f"a value is too large to be compared in {feature.name}; the largest is {slot}",
            stage="similarity",
            slot=slot,
        )
    return raw
