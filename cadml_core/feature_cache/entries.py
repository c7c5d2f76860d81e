"""What the feature cache holds, by which key, and the figures that tell what it did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from cadml_core.catalog.records import Content
from cadml_core.contracts.formats import UnitName
from cadml_core.documents.arrays import FloatVector


class Key(NamedTuple):
    """What values depend on."""

    sha256: str
    format: str
    """Name of the format adapter."""
    adapter_version: str
    unit: UnitName | None
    """That the sender has stated."""
    version: str
    """The feature version."""


class Entry(NamedTuple):
    """One feature vector, and the content that it is of."""

    content: Content
    values: FloatVector
    """float64 (number of slots,), read-only."""
    whole: bool
    """Whether the content has all that a part is stored from; one that came from the catalogue lacks its
    feature list."""


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """What the cache holds, and what it did since its size was last set."""

    capacity: int
    ttl_seconds: int
    size: int = 0
    hits: int = 0
    misses: int = 0
    evictions: int = 0
    """Entries that had to make room for others."""
    expirations: int = 0
    """Misses that met an entry that was too old."""

    @property
    def lookups(self) -> int:
        """Hits and misses."""
        return self.hits + self.misses


def combined(each: Sequence[Statistics]) -> Statistics:
    """Return the sums over several processes; the limits are those of the first."""
    return Statistics(
        capacity=each[0].capacity,
        ttl_seconds=each[0].ttl_seconds,
        **{
            name: sum(getattr(one, name) for one in each)
            for name in ("size", "hits", "misses", "evictions", "expirations")
        },
    )
