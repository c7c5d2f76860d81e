"""What operators chose for the feature cache, and the errors of undoing it."""

from __future__ import annotations

import msgspec

from cadml_core.errors import CadmlError


class Limits(msgspec.Struct, frozen=True):
    """How much a cache keeps, and for how long."""

    capacity: int
    ttl_seconds: int


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What a rollback restores, and until when it may. Times are ISO 8601, UTC."""

    previous_capacity: int
    previous_ttl: int
    applied_at: str
    expires_at: str
    can_rollback_until: str
    """The same as ``expires_at``."""


class Tuning(msgspec.Struct, frozen=True, kw_only=True):
    """What operators chose."""

    limits: Limits | None = None
    """None: what each process's settings say."""
    snapshot: Snapshot | None = None
    prewarms: int = 0
    """How often a prewarm was asked for; every server follows the number."""


def still_open(snapshot: Snapshot) -> CadmlError:
    """Return the error of an apply inside the window of another."""
    return CadmlError(
        f"the cache setting applied at {snapshot.applied_at} can be rolled back until {snapshot.expires_at};"
        " roll it back first, or wait",
        code="CACHE_TUNING_SNAPSHOT_ACTIVE",
        applied_at=snapshot.applied_at,
        can_rollback_until=snapshot.expires_at,
    )


def expired(snapshot: Snapshot) -> CadmlError:
    """Return the error of a rollback after the window."""
    return CadmlError(
        f"the cache setting applied at {snapshot.applied_at} could be rolled back until"
        f" {snapshot.expires_at}; apply the limits before it, {snapshot.previous_capacity} and"
        f" {snapshot.previous_ttl} seconds, instead",
        code="CACHE_TUNING_ROLLBACK_EXPIRED",
        expired_at=snapshot.expires_at,
        previous_capacity=snapshot.previous_capacity,
        previous_ttl=snapshot.previous_ttl,
    )
