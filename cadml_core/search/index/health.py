"""The state of the vector index as people and monitors see it, and the waits between recovery attempts."""

from __future__ import annotations

from collections import deque
from typing import Any, Literal

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


class DegradationHistory:
    """The last times that the chosen backend failed. The caller holds a lock."""

    def __init__(self) -> None:
        self._entries: deque[Degradation] = deque(maxlen=HISTORY)

    def degraded(self, reason: str, at: str) -> None:
        """Note a failure."""
        self._entries.append(Degradation(reason, at))

    def restored(self, at: str) -> bool:
        """Note that the last failure is over; returns whether it was still open."""
        if self.open is None:
            return False
        self._replace_last(restored_at=at)
        return True

    def attempt_failed(self) -> None:
        """Count a failed attempt to end the last failure."""
        if self.open is not None:
            self._replace_last(failed_attempts=self.open.failed_attempts + 1)

    @property
    def open(self) -> Degradation | None:
        """The failure that lasts, None where there is none."""
        last = self._entries[-1] if self._entries else None
        return last if last is not None and last.restored_at is None else None

    @property
    def entries(self) -> tuple[Degradation, ...]:
        """All that is remembered, oldest first."""
        return tuple(self._entries)

    def _replace_last(self, **changes: Any) -> None:
        self._entries.append(msgspec.structs.replace(self._entries.pop(), **changes))


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
