"""What ``/health/features/cache`` answers to administrators."""

from __future__ import annotations

from cadml_core.intake.cache_answers import Applied, RolledBack


class AppliedForAdmin(Applied, frozen=True, kw_only=True):
    """What an apply changed, or would change."""

    next_rotation_hint: str | None = None
    """Set once the admin token has been in use for 7 days."""


class RolledBackForAdmin(RolledBack, frozen=True, kw_only=True):
    """What a rollback restored."""

    next_rotation_hint: str | None = None
    """Set once the admin token has been in use for 7 days."""
