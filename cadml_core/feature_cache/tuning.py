"""The size of the feature cache as operators set it, for every process on a catalogue, with a way back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from cadml_core.catalog.state import OperatorState
from cadml_core.clock import Clock, SystemClock, timestamp
from cadml_core.errors import CadmlError
from cadml_core.feature_cache.choice import Limits, Snapshot, Tuning, expired, still_open

_STATE = "feature_cache"  # its name among the operators' choices in the catalogue
_Change = Callable[[Tuning], Tuning]


class SharedTuning:
    """Reads and changes what operators chose; every call is one transaction. Thread-safe.

    Args:
        state: Where it is kept, across restarts and for all processes.
        configured: What the settings say.
        window_seconds: How long a change can be undone.
        clock: Its ``now`` starts and ends windows.
    """

    def __init__(
        self, state: OperatorState, configured: Limits, window_seconds: int, clock: Clock | None = None
    ) -> None:
        self._state = state
        self.configured = configured
        self._window = timedelta(seconds=window_seconds)
        self._clock = clock or SystemClock()

    def get(self) -> Tuning:
        """Return the newest choice."""
        return self._state.get(_STATE, Tuning) or Tuning()

    def limits(self) -> Limits:
        """Return what holds now."""
        return self.get().limits or self.configured

    def apply(self, limits: Limits) -> Snapshot:
        """Let every process take these limits; those before can be restored for a while.

        Raises:
            CadmlError: CACHE_TUNING_SNAPSHOT_ACTIVE: the last change can still be undone.
        """
        now = self._clock.now()

        def change(before: Tuning) -> Tuning:
            if before.snapshot and now < datetime.fromisoformat(before.snapshot.expires_at):
                raise still_open(before.snapshot)
            previous = before.limits or self.configured
            end = timestamp(now + self._window)
            snapshot = Snapshot(
                previous_capacity=previous.capacity,
                previous_ttl=previous.ttl_seconds,
                applied_at=timestamp(now),
                expires_at=end,
                can_rollback_until=end,
            )
            return msgspec.structs.replace(before, limits=limits, snapshot=snapshot)

        found = self._update(change).snapshot
        assert found is not None  # ``change`` has set it
        return found

    def rollback(self) -> Limits:
        """Restore the limits before the last change; return them.

        Raises:
            CadmlError: CACHE_TUNING_NO_SNAPSHOT: nothing was applied since the start or the last rollback;
                CACHE_TUNING_ROLLBACK_EXPIRED: it was too long ago.
        """
        now = self._clock.now()

        def change(before: Tuning) -> Tuning:
            snapshot = before.snapshot
            if snapshot is None:
                raise CadmlError(
                    "there is nothing to roll back: no cache setting was applied since the server started or"
                    " since the last rollback",
                    code="CACHE_TUNING_NO_SNAPSHOT",
                )
            if now >= datetime.fromisoformat(snapshot.expires_at):
                raise expired(snapshot)
            limits = Limits(snapshot.previous_capacity, snapshot.previous_ttl)
            return msgspec.structs.replace(before, limits=limits, snapshot=None)

        return self._update(change).limits or self.configured

    def forget_snapshot(self) -> None:
        """End the window, as a server does when it starts; what was applied stays."""
        if self.get().snapshot is not None:
            self._update(lambda before: msgspec.structs.replace(before, snapshot=None))

    def ask_for_prewarm(self) -> int:
        """Have every server warm its cache; return the number of this request."""
        return self._update(
            lambda before: msgspec.structs.replace(before, prewarms=before.prewarms + 1)
        ).prewarms

    def _update(self, change: _Change) -> Tuning:
        return self._state.update(_STATE, Tuning, lambda before: change(before or Tuning()))
