"""What operators are told of the feature cache."""

from __future__ import annotations

from typing import Literal

import msgspec

from cadml_core.feature_cache.choice import Limits, Snapshot

Source = Literal["recent_hits", "batch_references", "frequent"]


class PrewarmReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each vector that was to be loaded."""

    requested: int
    warmed: int
    skipped: int
    """In the cache already, no longer in the catalogue, of a feature version that is not installed, or
    without room: a prewarm pushes nothing out."""
    errors: int
    by_source: dict[Source, int]
    """Warmed, by where they came from."""


class CacheState(msgspec.Struct, frozen=True, kw_only=True):
    """The caches of all processes that serve on a catalogue, in all."""

    capacity: int
    """Of each process."""
    ttl_seconds: int
    configured: Limits
    """What the settings say; differs from the above where something was applied."""
    processes: int
    """That serve; those of other processes are as they last reported, every ten seconds."""
    size: int
    hits: int
    """This and the next four are since the size was last set, or since the start."""
    misses: int
    evictions: int
    expirations: int
    hit_ratio: float | None
    snapshot: Snapshot | None
    """Of the last change, while or after it could be rolled back."""


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What an apply changed, or would change."""

    dry_run: bool
    before: Limits
    after: Limits
    changed: bool
    """Whether the two differ."""
    reasons: tuple[str, ...]
    snapshot: Snapshot | None
    """What a rollback would restore; null after a dry run."""


class RolledBack(msgspec.Struct, frozen=True, kw_only=True):
    """What a rollback restored."""

    status: Literal["rolled_back"] = "rolled_back"
    restored: Limits
