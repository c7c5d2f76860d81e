"""The processes that a choice of model needs: kept where they run, ended where they are no longer wanted."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import NamedTuple

from cadml_core.classifier.choice import Choice, ModelInfo
from cadml_core.classifier.process import ModelProcess
from cadml_core.metrics import model_load_seq


class Serving(NamedTuple):
    """A model and the process that holds it."""

    info: ModelInfo
    process: ModelProcess


class ServingModels:
    """The newest known choice, and the processes of its models as far as they run here. Safe for threads.

    No call waits for a model; ending processes takes some hundredths of a second.
    """

    def __init__(self) -> None:
        self.choice = Choice()
        self._lock = threading.Lock()
        self._held: tuple[Serving, ...] = ()
        self._closed = False

    def settle(self, choice: Choice, *started: Serving) -> None:
        """Take over a choice, unless a newer one is known, and processes that were started for it."""
        with self._lock:
            if choice.load_seq >= self.choice.load_seq:
                self.choice = choice
            candidates = (*started, *self._held)
            self._held = () if self._closed else _needed(self.choice, candidates)
            kept = {serving.process for serving in self._held}
        model_load_seq.set(self.choice.load_seq if self.choice.current else 0)
        _end(serving.process for serving in candidates if serving.process not in kept)

    def asked(self) -> Serving | None:
        """Return what answers now: the chosen model; until it runs here, the one that answered before it."""
        held, current = self._held, self.choice.current
        if not held or current is None:
            return None
        return _under(current, held) or held[-1]

    def holds(self, info: ModelInfo) -> bool:
        """Tell whether a process with this model runs here."""
        return _under(info, self._held) is not None

    def close(self) -> None:
        """End all processes, and each that is offered from now on."""
        with self._lock:
            self._closed = True
            held, self._held = self._held, ()
        _end(serving.process for serving in held)


def _needed(choice: Choice, candidates: tuple[Serving, ...]) -> tuple[Serving, ...]:
    """Return the processes to keep; the last one may only stand in until the chosen model runs."""
    wanted = [info for info in (choice.current, choice.previous) if info is not None]
    held = [serving for info in wanted if (serving := _under(info, candidates)) is not None]
    banned = {one.sha256 for one in choice.quarantined}
    if choice.current is not None and _under(choice.current, candidates) is None:
        held += [serving for serving in candidates if serving.info.sha256 not in banned][:1]
    return tuple(held)


def _under(info: ModelInfo, candidates: Iterable[Serving]) -> Serving | None:
    """Return the process that holds a model, under the model's present number."""
    for serving in candidates:
        if (serving.info.path, serving.info.sha256) == (info.path, info.sha256):
            return Serving(info, serving.process)
    return None


def _end(processes: Iterable[ModelProcess]) -> None:
    for process in set(processes):
        process.close()
