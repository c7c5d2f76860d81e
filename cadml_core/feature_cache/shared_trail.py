"""Gather what this process was asked for, and keep it in the catalogue for the next start."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence

from cadml_core.catalog.state import OperatorState
from cadml_core.feature_cache.entries import Key
from cadml_core.feature_cache.trail import REFERENCES, Report, Trail, Wanted

_STATE = "feature_cache_trail"


class SharedTrail:
    """Gathers what this process was asked for, and adds it to the trail of all. Thread-safe."""

    def __init__(self, state: OperatorState) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._references: deque[str] = deque(maxlen=REFERENCES)

    def note_batch(self, ids: Iterable[str]) -> None:
        """Note the parts that a batch query is about."""
        with self._lock:
            self._references.extend(ids)

    def get(self) -> Trail:
        """Return what is stored."""
        return self._state.get(_STATE, Trail) or Trail()

    def store(self, hits: Sequence[Key], report: Report, now: float) -> None:
        """Add what was seen since the last time, in one transaction.

        Args:
            hits: What the cache was hit for, the newest last.
            report: What the cache did; one that is not fresh ends the reports of its process.
            now: Seconds since the epoch.
        """
        with self._lock:
            references, self._references = list(self._references), deque(maxlen=REFERENCES)
        wanted = [Wanted(key.sha256, key.version) for key in hits]
        self._state.update(
            _STATE,
            Trail,
            lambda before: (before or Trail()).extended(wanted, references, report, now),
        )
