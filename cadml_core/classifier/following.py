"""Keep a process's models equal to what operators chose, in whichever process they did."""

from __future__ import annotations

import logging
import threading
import time

from cadml_core.classifier.choice import ModelInfo
from cadml_core.classifier.process import COMPLETED
from cadml_core.classifier.registry import ModelRegistry
from cadml_core.errors import CadmlError

log = logging.getLogger(__name__)

_POLL_SECONDS = 1.0
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0
"""Seconds between two attempts to start a model whose process died or hung."""


class SharedModels:
    """A process's models, and the thread that follows the choice. A restarted server finds its model."""

    def __init__(self, registry: ModelRegistry) -> None:
        self.registry = registry
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._adopting = threading.Lock()
        self._refused: ModelInfo | None = None
        """What this process could not load, so that it is not tried every second."""
        self._not_before, self._wait = 0.0, _FIRST_WAIT

    def follow(self) -> None:
        """Take over the newest choice. What must be started for it is started in the background."""
        wanted = self.registry.follow()
        if wanted is None or wanted == self._refused or time.monotonic() < self._not_before:
            return
        if self._adopting.acquire(blocking=False):
            threading.Thread(target=self._adopt, args=(wanted,), name="cadml-adopt", daemon=True).start()

    def start_following(self) -> None:
        """Follow once, then in the background until ``close``."""
        self._try_to_follow()
        thread = threading.Thread(target=self._follow_regularly, name="cadml-models", daemon=True)
        thread.start()
        # Now, as ``close`` joins it and may come first; the thread then ends at once.
        self._thread = thread

    def close(self) -> None:
        """Stop following and end every model's process; closing twice is allowed."""
        self._stopped.set()
        self.registry.close()
        if self._thread is not None:
            self._thread.join()

    def _adopt(self, wanted: ModelInfo) -> None:
        """Start a model that another process, or the one before this, had chosen."""
        try:
            self.registry.adopt(wanted)
            self._wait = _FIRST_WAIT
        except CadmlError as error:
            log.warning("this process cannot load the active model %s: %s", wanted.path, error.message)
            if error.context.get("trial") in (None, COMPLETED):
                self._refused = wanted
            self._not_before = time.monotonic() + self._wait
            self._wait = min(2 * self._wait, _LONGEST_WAIT)
        finally:
            self._adopting.release()

    def _follow_regularly(self) -> None:
        while not self._stopped.wait(_POLL_SECONDS):
            self._try_to_follow()

    def _try_to_follow(self) -> None:
        try:
            self.follow()
        except CadmlError as error:
            log.warning("the active model is not known now: %s", error.message)
