"""What a migration would do, from a sample of the vectors it would change."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Literal

import msgspec

from cadml_core.migration.sources import Method, Recomputation, Source

SKEW = 0.5
"""Share of samples that lose slots from which on to warn."""
SPIKE = 0.3
"""Share of samples that more than double their length from which on to warn."""

PreviewWarning = Literal["large_negative_skew", "growth_spike"]


class PreviewItem(msgspec.Struct, frozen=True):
    """One vector that would change."""

    id: str
    from_version: str | None
    to_version: str
    dimension_before: int
    dimension_after: int
    method: Method
    reason: str | None


class DimensionChanges(msgspec.Struct, frozen=True):
    """How many samples grow, shrink or keep their length."""

    positive: int
    negative: int
    zero: int


class MigrationPreview(msgspec.Struct, frozen=True):
    """What a migration would do."""

    to_version: str
    total_vectors: int
    """All vectors in the catalogue, of every version."""
    to_migrate: int
    """Parts that lack a vector of ``to_version``."""
    by_version: dict[str, int]
    preview_items: tuple[PreviewItem, ...]
    estimated_dimension_changes: DimensionChanges
    migration_feasible: bool
    """Whether every sampled vector can be migrated."""
    avg_delta: float
    """Mean of length after minus length before; 0 without samples."""
    median_delta: float
    warnings: tuple[PreviewWarning, ...]


def describe(
    sources: Sequence[Source], recomputation: Recomputation, slots: dict[str, int]
) -> list[PreviewItem]:
    """Say what would become of each source.

    Args:
        sources: The sample.
        recomputation: Towards the version wanted.
        slots: How many slots each installed version has.
    """
    items = []
    for source in sources:
        method, reason = recomputation.method(source)
        before = recomputation.longest(source)
        items.append(
            PreviewItem(
                id=source.id,
                from_version=before,
                to_version=recomputation.target.name,
                dimension_before=slots.get(before or "", 0),
                dimension_after=len(recomputation.target.slots),
                method=method,
                reason=reason,
            )
        )
    return items


def summarise(
    items: Sequence[PreviewItem], *, to_version: str, to_migrate: int, by_version: dict[str, int]
) -> MigrationPreview:
    """Put the numbers of a sample together."""
    deltas = [item.dimension_after - item.dimension_before for item in items]
    changes = DimensionChanges(
        positive=sum(delta > 0 for delta in deltas),
        negative=sum(delta < 0 for delta in deltas),
        zero=sum(delta == 0 for delta in deltas),
    )
    return MigrationPreview(
        to_version=to_version,
        total_vectors=sum(by_version.values()),
        to_migrate=to_migrate,
        by_version=by_version,
        preview_items=tuple(items),
        estimated_dimension_changes=changes,
        migration_feasible=all(item.method != "failed" for item in items),
        avg_delta=statistics.fmean(deltas) if deltas else 0.0,
        median_delta=float(statistics.median(deltas)) if deltas else 0.0,
        warnings=_warnings(items, changes),
    )


def _warnings(items: Sequence[PreviewItem], changes: DimensionChanges) -> tuple[PreviewWarning, ...]:
    found: list[PreviewWarning] = []
    if changes.negative > SKEW * len(items):
        found.append("large_negative_skew")
    doubled = sum(item.dimension_after > 2 * item.dimension_before for item in items)
    if doubled > SPIKE * len(items):
        found.append("growth_spike")
    return tuple(found)
