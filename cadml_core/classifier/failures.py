"""How often each model failed of late, so that one that fails too often can be taken out of service."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable

from cadml_core.metrics import model_prediction_failures_total

WINDOW_SECONDS = 600.0


class FailureLog:
    """Counts the failures of models by their sha256. Safe for threads.

    Args:
        most: So many within ``WINDOW_SECONDS`` are too many.
        clock: Seconds that never go back.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._times: defaultdict[str, deque[float]] = defaultdict(deque)

    def add(self, sha256: str, reason: str) -> bool:
        """Note a failure; True where these are now too many."""
        model_prediction_failures_total.labels(reason=reason).inc()
        with self._lock:
            self._times[sha256].append(self._clock())
        return self.count(sha256) >= self._most

    def count(self, sha256: str) -> int:
        """Return how many there were in the window."""
        with self._lock:
            times = self._times.get(sha256, deque())
            while times and times[0] < self._clock() - WINDOW_SECONDS:
                times.popleft()
            return len(times)

    def forget(self, sha256: str) -> None:
        """Begin anew: an operator wants the model to serve."""
        with self._lock:
            self._times.pop(sha256, None)
