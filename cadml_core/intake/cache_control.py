"""The feature cache as operators see it: its state, its tuning, its warming, on every process at once."""

from __future__ import annotations

import logging
import math
import os
import socket
import threading
import time
from collections.abc import Callable

from cadml_core.errors import CadmlError
from cadml_core.feature_cache.advice import Recommendation, recommend
from cadml_core.feature_cache.choice import Limits
from cadml_core.feature_cache.entries import Statistics, combined
from cadml_core.feature_cache.shared_trail import SharedTrail
from cadml_core.feature_cache.trail import Report
from cadml_core.feature_cache.tuning import SharedTuning
from cadml_core.intake.cache_answers import Applied, CacheState, PrewarmReport, RolledBack
from cadml_core.intake.intake import Intake
from cadml_core.intake.prewarm import prewarm

log = logging.getLogger(__name__)

_POLL_SECONDS = 1.0
_STORE_SECONDS = 10.0
"""The most of the trail that a killed server loses ..."""
_IDLE_SECONDS = 60.0
"""... and how often a server reports that has nothing new to tell."""


class CacheControl:
    """A process's feature cache, kept equal to what operators chose, and what they may do. Thread-safe.

    Args:
        intake: Has the cache of this process, and fills it.
        tuning: What operators chose.
        trail: What every process was asked for.
        version: The configured feature version.
        prewarm_most: Most vectors that a prewarm loads.
    """

    def __init__(
        self,
        intake: Intake,
        tuning: SharedTuning,
        trail: SharedTrail,
        version: str,
        prewarm_most: int,
    ) -> None:
        self._intake = intake
        self._cache = intake.cache
        self.tuning = tuning
        self.trail = trail
        self._version = version
        self._most = prewarm_most
        self._process = f"{socket.gethostname()}:{os.getpid()}:{id(self):x}"
        self._lock = threading.Lock()
        self._limits = tuning.configured
        self._prewarms: int | None = None
        self._stored: Statistics | None = None
        self._stored_at = -math.inf
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    # What operators ask

    def state(self) -> CacheState:
        """Return the state of all processes that serve, this one as it is now."""
        self.follow()
        each = self._each()
        found, choice = combined(each), self.tuning.get()
        return CacheState(
            capacity=found.capacity,
            ttl_seconds=found.ttl_seconds,
            configured=self.tuning.configured,
            processes=len(each),
            size=found.size,
            hits=found.hits,
            misses=found.misses,
            evictions=found.evictions,
            expirations=found.expirations,
            hit_ratio=round(found.hits / found.lookups, 4) if found.lookups else None,
            snapshot=choice.snapshot,
        )

    def recommendation(self) -> Recommendation:
        """Return what size would be better, by what all processes did."""
        self.follow()
        each = self._each()
        return recommend(combined(each), len(each))

    def apply(
        self, *, capacity: int | None = None, ttl_seconds: int | None = None, dry_run: bool = False
    ) -> Applied:
        """Set the limits for every process; those not given are the recommended ones.

        Raises:
            CadmlError: CACHE_TUNING_SNAPSHOT_ACTIVE: the last change can still be undone; a dry run may.
        """
        advice = self.recommendation()
        before = self.tuning.limits()
        after = Limits(
            advice.capacity if capacity is None else capacity,
            advice.ttl_seconds if ttl_seconds is None else ttl_seconds,
        )
        snapshot = None if dry_run else self.tuning.apply(after)
        self.follow()
        return Applied(
            dry_run=dry_run,
            before=before,
            after=after,
            changed=before != after,
            reasons=advice.reasons if capacity is None else ("as asked for",),
            snapshot=snapshot,
        )

    def rollback(self) -> RolledBack:
        """Restore the limits before the last apply, for every process.

        Raises:
            CadmlError: CACHE_TUNING_NO_SNAPSHOT or CACHE_TUNING_ROLLBACK_EXPIRED.
        """
        restored = self.tuning.rollback()
        self.follow()
        return RolledBack(restored=restored)

    def prewarm(self) -> PrewarmReport:
        """Warm this process's cache now, and have the other servers warm theirs."""
        self.follow()
        if self._thread is not None:
            self._store_trail()
        with self._lock:
            self._prewarms = self.tuning.ask_for_prewarm()
        return self._warm()

    # Following

    def follow(self) -> None:
        """Take over the limits that operators chose; warm where they asked for it since the last time."""
        choice = self.tuning.get()
        limits = choice.limits or self.tuning.configured
        with self._lock:
            if limits != self._limits:
                self._cache.resize(limits.capacity, limits.ttl_seconds)
                self._limits = limits
            asked = self._prewarms is not None and choice.prewarms > self._prewarms
            self._prewarms = choice.prewarms
        if asked:
            self._warm()

    def start_following(self) -> None:
        """Follow, report and keep the trail in the background until ``close``."""
        self._thread = threading.Thread(target=self._follow_regularly, name="cadml-cache", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop following, and store the trail where this process followed; closing twice is allowed."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _follow_regularly(self) -> None:
        while not self._stopped.wait(_POLL_SECONDS):
            self._attempt(self.follow)
            passed = time.monotonic() - self._stored_at
            news = self._cache.statistics() != self._stored
            if passed >= _IDLE_SECONDS or (news and passed >= _STORE_SECONDS):
                self._attempt(self._store_trail)
        self._attempt(lambda: self._store_trail(serving=False))

    @staticmethod
    def _attempt(call: Callable[[], None]) -> None:
        try:
            call()
        except CadmlError as error:
            log.warning("the feature cache cannot follow the catalogue now: %s", error.message)

    def _store_trail(self, *, serving: bool = True) -> None:
        self._stored, self._stored_at = self._cache.statistics(), time.monotonic()
        now = time.time()
        report = Report(self._process, now if serving else 0.0, self._stored)
        self.trail.store(self._cache.hits(), report, now)

    def _warm(self) -> PrewarmReport:
        return prewarm(self._intake, self.trail.get(), self._version, self._most)

    def _each(self) -> list[Statistics]:
        """Return the statistics of this process, as far as it serves, and of the others."""
        others = [
            one.statistics for one in self.trail.get().fresh(time.time()) if one.process != self._process
        ]
        own = self._cache.statistics()
        return [own, *others] if self._thread is not None or not others else others
