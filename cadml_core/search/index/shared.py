"""What operators ask of the index, done by every process on the catalogue."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import msgspec

from cadml_core.catalog.state import OperatorState
from cadml_core.errors import CadmlError
from cadml_core.search.index.failover import ResilientIndexes
from cadml_core.search.index.health import IndexHealth
from cadml_core.search.index.sync import BackendChoice

log = logging.getLogger(__name__)

_NAME = "index"
_POLL_SECONDS = 1.0


class Wish(msgspec.Struct, frozen=True):
    """The last thing that an operator asked for."""

    number: int = 0
    backend: str | None = None
    """The backend to use from then on; None: the one in use."""


class SharedIndexes:
    """Recoveries and switches of one process's indexes, which the other processes follow within seconds.

    A process that starts later uses the backend that its settings name.

    Args:
        state: Where operators' wishes are kept.
        indexes: Those of this process.
        choose: Returns a backend by name, with its options.
    """

    def __init__(
        self, state: OperatorState, indexes: ResilientIndexes, choose: Callable[[str], BackendChoice]
    ) -> None:
        self._state = state
        self._indexes = indexes
        self._choose = choose
        self._known = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def recover(self, backend: str | None = None) -> IndexHealth:
        """Rebuild the index here, with this backend from now on, and have the other processes do the same.

        Raises:
            NotFound: There is no such backend.
            CadmlError: FAISS_RECOVERY_CONFLICT while another recovery runs here.
            PluginUnavailable: The rebuilt index failed here; the others are not asked.
        """
        health = self._indexes.recover(None if backend is None else self._choose(backend))
        with self._lock:
            wish = self._state.update(
                _NAME, Wish, lambda before: Wish((before.number if before else 0) + 1, backend)
            )
            self._known = max(self._known, wish.number)
        return health

    def start_following(self) -> None:
        """Follow from now on, in the background, until ``close``."""
        self._known = self._newest().number
        self._thread = threading.Thread(target=self._follow_regularly, name="cadml-index", daemon=True)
        self._thread.start()

    def follow(self) -> None:
        """Do what was asked of another process since the last time."""
        wish = self._newest()
        with self._lock:
            if wish.number <= self._known:
                return
            self._known = wish.number
        self._indexes.recover(None if wish.backend is None else self._choose(wish.backend))

    def close(self) -> None:
        """Stop following; closing twice is allowed."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _newest(self) -> Wish:
        return self._state.get(_NAME, Wish) or Wish()

    def _follow_regularly(self) -> None:
        while not self._stopped.wait(_POLL_SECONDS):
            try:
                self.follow()
            except CadmlError as error:
                log.warning("the index does not follow what was asked of another process: %s", error.message)
