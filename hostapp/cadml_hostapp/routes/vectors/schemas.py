"""What ``/vectors`` takes and answers, apart from the searches."""

from __future__ import annotations

from typing import Any

import msgspec

from cadml_core.catalog.records import Status
from cadml_core.search.statistics import SlotStatistics
from cadml_hostapp.routes.fields import Body, PartId, Values, Version


class RegisterVector(Body, frozen=True, kw_only=True):
    """A vector computed elsewhere."""

    id: PartId
    vector: Values
    feature_version: Version | None = None
    """The configured one where None."""
    meta: dict[str, Any] | None = None


class VectorRegistered(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a registered vector."""

    id: str
    status: Status
    feature_version: str
    dimension: int


class VectorSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A part and its vectors."""

    id: str
    name: str
    vectors: dict[str, str]
    """Feature version -> where its vector comes from."""


class VectorPage(msgspec.Struct, frozen=True):
    """One page of vectors."""

    items: list[VectorSummary]
    next_cursor: str | None


class VectorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One vector: raw values, in the order of the slots."""

    id: str
    feature_version: str
    source: str
    values: list[float]
    slots: list[str]


class StatisticsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the catalogue and the index hold. Parts without a format or material count under no name."""

    total_parts: int
    total_vectors: int
    by_format: dict[str, int]
    by_material: dict[str, int]
    by_version: dict[str, int]
    feature_version: str
    slots: tuple[SlotStatistics, ...]
    backend: str
    index_size: int
    degraded: bool
