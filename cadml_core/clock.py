"""Time, injected, so that a back-off of an hour is tested in a millisecond."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where time comes from."""

    def monotonic(self) -> float:
        """Seconds that never go back, for durations and appointments."""

    def now(self) -> datetime:
        """The date and time, with its zone, for people."""


class SystemClock:
    """The computer's own."""

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    def now(self) -> datetime:
        """The time in UTC."""
        return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """Write a time as ISO 8601 in UTC with milliseconds and a Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
