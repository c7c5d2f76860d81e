"""What ``/features`` answers."""

from __future__ import annotations

import msgspec


class FeatureVersionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One feature version."""

    name: str
    dimension: int
    metric: str
    needs_mesh: bool
    default: bool
    """True for the version that new parts get."""
