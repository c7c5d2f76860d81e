"""The state of the vector index as people and monitors see it, and the waits between attempts to mend it."""

from __future__ import annotations

from typing import Literal

import msgspec

HISTORY = 10
"""Most failures that are remembered."""

RecoveryStatus = Literal["healthy", "waiting", "recovering"]


class RecoveryPolicy(msgspec.Struct, frozen=True):
    """How long to wait between two probes."""

    interval: float = 300.0
    """Seconds from the failure to the first probe."""
    multiplier: float = 2.0
    maximum: float = 3600.0

    def gap(self, failures: int) -> float:
        """The wait before the next probe after so many failed ones, in seconds."""
        try:
            return min(self.interval * self.multiplier**failures, max(self.maximum, self.interval))
        except OverflowError:
            return max(self.maximum, self.interval)


class Degradation(msgspec.Struct, frozen=True):
    """One time that the chosen backend failed."""

    reason: str
    degraded_at: str
    restored_at: str | None = None
    """None while it lasts."""
    failed_attempts: int = 0


class IndexHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The state that ``GET /health/faiss/health`` shows."""

    available: bool
    """Whether the chosen backend answers."""
    backend: str
    """Which backend answers now."""
    configured_backend: str
    index_size: int
    dimension: int
    degraded: bool
    degraded_reason: str | None
    degraded_duration_seconds: float
    degradation_history: tuple[Degradation, ...]
    """The last ten, oldest first."""
    recovery_status: RecoveryStatus
    last_recovery_attempt: str | None
    next_recovery_at: str | None
    manual_recovery_in_progress: bool
