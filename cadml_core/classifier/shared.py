"""One choice of model for every process on one catalogue.

A reload or rollback in one process is noted in the catalogue; the others load the same file, by path
and sha256, through the same checks. A restarted server finds the model it had.
"""

from __future__ import annotations

import logging
import threading

import msgspec

from cadml_core.catalog.state import OperatorState
from cadml_core.classifier.registry import ModelInfo, ModelRegistry
from cadml_core.errors import CadmlError

log = logging.getLogger(__name__)

NAME = "model"
POLL_SECONDS = 1.0


class ActiveModel(msgspec.Struct, frozen=True):
    """What all processes should serve."""

    path: str
    sha256: str
    load_seq: int


class SharedModels:
    """A process's model registry, kept equal to what operators chose in whichever process.

    A reload or rollback of the registry is noted in the catalogue as part of it: if that fails, so does
    the reload.

    Args:
        registry: Of this process.
        state: Of the catalogue.
    """

    def __init__(self, registry: ModelRegistry, state: OperatorState) -> None:
        self.registry = registry
        self._state = state
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._refused: ActiveModel | None = None
        """What this process could not load, so that it is not tried every second."""
        registry.number_with(self._note)

    def follow(self) -> None:
        """Load what another process chose; a failure is logged, recorded and leaves the model alone."""
        wanted = self._state.get(NAME, ActiveModel)
        if wanted is None or wanted == self._refused or wanted.load_seq <= self.registry.version().load_seq:
            return
        try:
            self.registry.adopt(wanted.path, wanted.sha256, wanted.load_seq)
        except CadmlError as error:
            self._refused = wanted
            log.warning("this process cannot load the active model %s: %s", wanted.path, error.message)

    def start_following(self) -> None:
        """Follow once, then in the background until ``close``."""
        self._try_to_follow()
        self._thread = threading.Thread(target=self._follow_regularly, name="cadml-models", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop following and write the audit; closing twice is allowed."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        self.registry.close()

    def _follow_regularly(self) -> None:
        while not self._stopped.wait(POLL_SECONDS):
            self._try_to_follow()

    def _try_to_follow(self) -> None:
        try:
            self.follow()
        except CadmlError as error:
            log.warning("the active model is not known now: %s", error.message)

    def _note(self, info: ModelInfo, load_seq: int) -> int:
        """Number a reload among those of all processes, and tell them."""

        def change(before: ActiveModel | None) -> ActiveModel:
            newest = max(load_seq, before.load_seq if before else 0)
            return ActiveModel(info.path, info.sha256, newest + 1)

        return self._state.update(NAME, ActiveModel, change).load_seq
