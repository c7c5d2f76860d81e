"""The cache of feature vectors: the least recently used goes first, and what is too old goes when met."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable

from cachetools import Cache, LRUCache

from cadml_core.feature_cache.entries import Entry, Key, Statistics
from cadml_core.metrics import (
    feature_cache_evictions_total,
    feature_cache_hits_total,
    feature_cache_miss_total,
    feature_cache_size,
)

_TRAIL = 4096
"""Most hits that are remembered between two calls of ``hits``."""


class _Counted(LRUCache[Key, tuple[Entry, float]]):
    """Counts what it drops to make room, and the entries of each content."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.evictions = 0
        self.contents: Counter[str] = Counter()
        """Entries by content."""

    def __setitem__(self, key: Key, value: tuple[Entry, float]) -> None:
        if key not in self:
            self.contents[key.sha256] += 1
        super().__setitem__(key, value)

    def __delitem__(self, key: Key) -> None:
        super().__delitem__(key)
        self.contents[key.sha256] -= 1
        if not self.contents[key.sha256]:
            del self.contents[key.sha256]

    def popitem(self) -> tuple[Key, tuple[Entry, float]]:
        self.evictions += 1
        return super().popitem()

    def peek(self, key: Key) -> tuple[Entry, float]:
        """Return what is there, without making it the most recently used."""
        return Cache.__getitem__(self, key)


class FeatureCache:
    """Feature vectors by what they depend on. Safe for threads; each call of ``get`` is one hit or one miss.

    Args:
        capacity: Most entries.
        ttl_seconds: How long an entry is good; 0: always.
        now: Seconds that never go back; tells how old entries are.
    """

    def __init__(self, capacity: int, ttl_seconds: int, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._entries = _Counted(capacity)
        self._ttl = ttl_seconds
        self._hits = self._misses = self._expirations = 0
        self._trail: deque[Key] = deque(maxlen=_TRAIL)

    def get(self, key: Key, *, whole: bool = False) -> Entry | None:
        """Look a vector up.

        Args:
            key: What it depends on.
            whole: Whether only an entry will do from which a part can be stored.
        """
        with self._lock:
            entry = self._current(key)
            if entry is None or (whole and not entry.whole):
                self._misses += 1
                entry = None
            else:
                self._hits += 1
                self._trail.append(key)
        (feature_cache_miss_total if entry is None else feature_cache_hits_total).inc()
        return entry

    def put(self, key: Key, entry: Entry) -> None:
        """Keep a vector; one that is whole is not replaced by one that is not."""
        with self._lock:
            known = self._entries.get(key)
            if known is not None and known[0].whole and not entry.whole:
                entry = known[0]
            before = self._entries.evictions
            self._entries[key] = (entry, self._now())
            self._report(before)

    def lacks(self, sha256: str) -> bool:
        """Tell whether there is nothing of a content, old or new; if so, this was a lookup, and a miss."""
        with self._lock:
            if sha256 in self._entries.contents:
                return False
            self._misses += 1
        feature_cache_miss_total.inc()
        return True

    def holds(self, key: Key, *, whole: bool = False) -> bool:
        """Tell whether ``get`` would find this; not a lookup, and counted as none."""
        with self._lock:
            if key not in self._entries:
                return False
            entry, at = self._entries.peek(key)
            return not self._too_old(at) and (entry.whole or not whole)

    def resize(self, capacity: int, ttl_seconds: int) -> None:
        """Set the size and the age limit, keep the most recently used that fit, and count anew."""
        with self._lock:
            old, self._entries = self._entries, _Counted(capacity)
            self._ttl = ttl_seconds
            while old:
                key, item = old.popitem()  # the least recently used first, so that the order stays
                self._entries[key] = item
            self._report(0)
            self._hits = self._misses = self._expirations = self._entries.evictions = 0

    def statistics(self) -> Statistics:
        """Return what it holds and did; entries that are too old are dropped first."""
        with self._lock:
            for key in [key for key in self._entries if self._too_old(self._entries.peek(key)[1])]:
                del self._entries[key]
            feature_cache_size.set(len(self._entries))
            return Statistics(
                capacity=int(self._entries.maxsize),
                ttl_seconds=self._ttl,
                size=len(self._entries),
                hits=self._hits,
                misses=self._misses,
                evictions=self._entries.evictions,
                expirations=self._expirations,
            )

    def hits(self) -> list[Key]:
        """Return what was hit since this was last asked, the newest last; the oldest where too many."""
        with self._lock:
            found, self._trail = list(self._trail), deque(maxlen=_TRAIL)
            return found

    def _current(self, key: Key) -> Entry | None:
        try:
            entry, at = self._entries[key]
        except KeyError:
            return None
        if not self._too_old(at):
            return entry
        del self._entries[key]
        self._expirations += 1
        feature_cache_size.set(len(self._entries))
        return None

    def _too_old(self, at: float) -> bool:
        return self._ttl > 0 and self._now() - at >= self._ttl

    def _report(self, before: int) -> None:
        if dropped := self._entries.evictions - before:
            feature_cache_evictions_total.inc(dropped)
        feature_cache_size.set(len(self._entries))
