"""Serve from the chosen index while it works, from a stand-in when it fails, and recover it meanwhile.

One small state machine. *Healthy*: the chosen backend answers. Its first failure makes it *degraded*:
the fallback backend, rebuilt from the catalogue, answers this and all further questions, and a probe
is due after a wait that grows with every failed probe. A probe, or an operator, opens the chosen
backend anew, rebuilds it from the catalogue, verifies it against the fallback and only then switches.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta

from cadml_core import metrics
from cadml_core.catalog.store import Catalog
from cadml_core.clock import Clock, timestamp
from cadml_core.documents.arrays import FloatMatrix, Int64Array
from cadml_core.errors import CadmlError, PluginUnavailable
from cadml_core.search.index.health import DegradationHistory, IndexHealth, RecoveryPolicy, RecoveryStatus
from cadml_core.search.index.recheck import IndexFailed
from cadml_core.search.index.sync import Answer, BackendChoice, IndexFollower
from cadml_core.search.index.verification import verify
from cadml_core.search.spaces import Space, SpaceName

log = logging.getLogger(__name__)

_GAUGE_SECONDS = 5.0
"""How often the gauge of the degraded time is refreshed between health requests."""

Followers = Mapping[SpaceName, IndexFollower]


class ResilientIndexes:
    """The indexes of all spaces of one feature version, behind one state machine. Thread-safe.

    Args:
        catalog: What every index is a copy of.
        spaces: The spaces to search in.
        chosen: The backend that the settings name.
        fallback: The one that stands in; None: a failure is an error.
        policy: The waits between probes.
        clock: Tells the time.
        probing: Whether a background thread probes; where False, the caller calls ``tick``.
    """

    def __init__(
        self,
        catalog: Catalog,
        spaces: Mapping[SpaceName, Space],
        chosen: BackendChoice,
        fallback: BackendChoice | None,
        *,
        policy: RecoveryPolicy,
        clock: Clock,
        probing: bool = True,
    ) -> None:
        self._catalog = catalog
        self._spaces = spaces
        self._chosen = chosen
        self._fallback_choice = fallback
        self._policy = policy
        self._clock = clock
        self._probing = probing
        self._state = threading.Lock()
        self._recovery_lock = threading.Lock()
        self._manual = False
        self._primary: Followers | None = self._followers(chosen)
        self._stand_in: Followers | None = None
        self._history = DegradationHistory()
        self._degraded_since = 0.0
        self._failures = 0
        self._next_probe = 0.0
        self._last_attempt: datetime | None = None
        self._used: frozenset[SpaceName] = frozenset(("scaled",))
        """Spaces that were asked for; the others are built when they are."""
        self._wake = threading.Event()
        self._closed = False

    # Answering

    def search(
        self,
        space: SpaceName,
        queries: FloatMatrix,
        k: int,
        allowed: Int64Array | None = None,
        *,
        change: int | None = None,
    ) -> Answer:
        """Answer from the chosen backend, or from the fallback where that fails.

        The arguments are those of ``IndexFollower.search``.

        Raises:
            PluginUnavailable: The chosen backend failed and no fallback can stand in.
        """
        if space not in self._used:
            self._used |= {space}
        primary = self._primary
        if primary is not None:
            try:
                hits = primary[space].search(queries, k, allowed, change=change)
                return Answer(hits, primary[space].backend.name, False)
            except IndexFailed as failure:
                self.degrade(primary, str(failure))
        stand_in = self._standing_in(space)
        try:
            hits = stand_in.search(queries, k, allowed, change=change)
            return Answer(hits, stand_in.backend.name, True)
        except IndexFailed as failure:
            raise PluginUnavailable(
                f"neither the vector backend {self._chosen.backend.name} nor its stand-in"
                f" {stand_in.backend.name} can search: {failure}",
                kind="vector backend",
                name=self._chosen.backend.name,
            ) from failure

    @property
    def in_process(self) -> bool:
        """Whether the index that answers works in this process's memory."""
        choice = self._chosen if self._primary is not None else self._fallback_choice
        return choice is None or bool(getattr(choice.backend, "in_process", False))

    @property
    def known_size(self) -> int:
        """How many vectors the index that answers held when it last changed; never waits."""
        followers = self._primary or self._stand_in
        return followers["scaled"].known_size if followers else 0

    @property
    def primary(self) -> Followers | None:
        """The chosen backend's indexes, None while degraded."""
        return self._primary

    def degrade(self, failed: Followers | None, reason: str) -> None:
        """Take the chosen backend out of service, unless those indexes are out already."""
        with self._state:
            if failed is None or self._primary is not failed:
                return
            self._primary = None
            self._failures = 0
            self._degraded_since = self._clock.monotonic()
            self._next_probe = self._degraded_since + self._policy.gap(0)
            self._history.degraded(reason, timestamp(self._clock.now()))
            metrics.similarity_degraded_total.labels(event="degraded").inc()
            metrics.degraded_duration_seconds.set(0.0)
            probing = self._probing and not self._closed
        log.warning(
            "the vector backend %s failed and is out of service: %s", self._chosen.backend.name, reason
        )
        if probing:
            threading.Thread(target=self._probe_until_restored, name="cadml-recovery", daemon=True).start()

    def _standing_in(self, space: SpaceName) -> IndexFollower:
        with self._state:
            if self._stand_in is None:
                if self._fallback_choice is None:
                    raise PluginUnavailable(
                        f"the vector backend {self._chosen.backend.name} failed"
                        f" ({self._history.open.reason if self._history.open else 'closed'}) and nothing can"
                        " stand in for it; enable the plugin memory",
                        kind="vector backend",
                        name=self._chosen.backend.name,
                    )
                self._stand_in = self._followers(self._fallback_choice)
            follower = self._stand_in[space]
        self._show_duration()
        return follower

    def _followers(self, choice: BackendChoice) -> Followers:
        return {
            name: IndexFollower(self._catalog, space, choice.backend, choice.config)
            for name, space in self._spaces.items()
        }

    # Recovery

    def tick(self) -> bool:
        """Probe if one is due; returns whether the chosen backend answers afterwards.

        While an operator's recovery runs, a probe that falls due waits until it is over.
        """
        self._show_duration()
        if self._primary is not None:
            return True
        if self._clock.monotonic() < self._next_probe or not self._recovery_lock.acquire(blocking=False):
            return False
        try:
            self._attempt(self._chosen)
        except IndexFailed as failure:
            self._put_off(failure)
        finally:
            self._recovery_lock.release()
        return self._primary is not None

    def recover(self, choice: BackendChoice | None = None) -> IndexHealth:
        """Rebuild now, on an operator's demand: the chosen backend, or another from now on.

        Where it fails, everything stays as it was.

        Raises:
            CadmlError: FAISS_RECOVERY_CONFLICT while another recovery runs.
            PluginUnavailable: The rebuilt index failed or did not pass verification.
        """
        with self._alone():
            wanted = choice or self._chosen
            try:
                self._attempt(wanted)
            except IndexFailed as failure:
                with self._state:
                    self._history.attempt_failed()
                raise PluginUnavailable(
                    f"the vector backend {wanted.backend.name} could not be recovered: {failure}",
                    stage="faiss_recovery",
                    kind="vector backend",
                    name=wanted.backend.name,
                ) from failure
        return self.health()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the recovery lock, or refuse."""
        if not self._recovery_lock.acquire(blocking=False):
            raise CadmlError(
                "a recovery of the vector index is already running; wait for it",
                code="FAISS_RECOVERY_CONFLICT",
            )
        self._manual = True
        try:
            yield
        finally:
            self._manual = False
            self._recovery_lock.release()

    def _attempt(self, choice: BackendChoice) -> None:
        """Build, verify, switch; searches go on with what there is until the switch."""
        self._last_attempt = self._clock.now()
        fresh = self._followers(choice)
        try:
            for name in self._used:
                self._verify(fresh[name])
        except IndexFailed:
            metrics.faiss_recovery_attempts_total.labels(result="failure").inc()
            raise
        with self._state:
            self._chosen = choice
            self._primary = fresh
            self._stand_in = None
            metrics.faiss_recovery_attempts_total.labels(result="success").inc()
            if self._history.restored(timestamp(self._clock.now())):
                self._restored()

    def _verify(self, follower: IndexFollower) -> None:
        """Verify an index; a durable one that fails is filled anew and verified again.

        What is wrong with it may be what it kept: a process that is started again would not cure it.
        """
        try:
            verify(follower, self._catalog)
        except IndexFailed:
            if not follower.durable:
                raise
            follower.rebuild()
            verify(follower, self._catalog)

    def _restored(self) -> None:
        self._failures = 0
        metrics.similarity_degraded_total.labels(event="restored").inc()
        metrics.degraded_duration_seconds.set(0.0)
        self._wake.set()
        log.info("the vector backend %s is back in service", self._chosen.backend.name)

    def _put_off(self, failure: IndexFailed) -> None:
        """A probe failed: the next one waits longer."""
        with self._state:
            self._failures += 1
            self._next_probe = self._clock.monotonic() + self._policy.gap(self._failures)
            self._history.attempt_failed()
        log.warning("the vector backend %s is still out of service: %s", self._chosen.backend.name, failure)

    def _probe_until_restored(self) -> None:
        self._wake.clear()
        while not self._closed and self._primary is None:
            wait = min(_GAUGE_SECONDS, max(0.0, self._next_probe - self._clock.monotonic()))
            self._wake.wait(max(wait, 0.05))
            try:
                if self.tick():
                    return
            except CadmlError as error:  # the catalogue may be away for a while too
                log.warning("no probe of the vector backend: %s", error.message)
                self._wake.wait(_GAUGE_SECONDS)

    # State

    def health(self) -> IndexHealth:
        """Return the state now."""
        self._show_duration()
        with self._state:
            degraded = self._primary is None
            followers = self._stand_in if degraded else self._primary
            scaled = None if followers is None else followers["scaled"]
            wait = max(0.0, self._next_probe - self._clock.monotonic())
            status: RecoveryStatus = "waiting" if degraded else "healthy"
            return IndexHealth(
                available=not degraded,
                backend=scaled.backend.name if scaled else self._answering_name(degraded),
                configured_backend=self._chosen.backend.name,
                index_size=scaled.known_size if scaled else 0,
                dimension=self._spaces["scaled"].dimension,
                degraded=degraded,
                degraded_reason=self._history.open.reason if degraded and self._history.open else None,
                degraded_duration_seconds=self._duration() if degraded else 0.0,
                degradation_history=self._history.entries,
                recovery_status="recovering" if self._recovery_lock.locked() else status,
                last_recovery_attempt=timestamp(self._last_attempt) if self._last_attempt else None,
                next_recovery_at=(
                    timestamp(self._clock.now() + timedelta(seconds=wait)) if degraded else None
                ),
                manual_recovery_in_progress=self._manual,
            )

    def _answering_name(self, degraded: bool) -> str:
        if degraded and self._fallback_choice is not None:
            return self._fallback_choice.backend.name
        return self._chosen.backend.name

    def _duration(self) -> float:
        return self._clock.monotonic() - self._degraded_since

    def _show_duration(self) -> None:
        if self._primary is None:
            metrics.degraded_duration_seconds.set(self._duration())

    def close(self) -> None:
        """End probing and release the indexes; closing twice is allowed."""
        self._closed = True
        self._wake.set()
        with self._state:
            sets = [followers for followers in (self._primary, self._stand_in) if followers]
            self._stand_in = None
        for followers in sets:
            for follower in followers.values():
                follower.close()
