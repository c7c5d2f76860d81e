"""Which model should serve, for one process or for all on a catalogue: decided once, followed by each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

import msgspec

from cadml_core.catalog.state import OperatorState
from cadml_core.classifier.files import InputKind

_STATE = "models"  # its name among the operators' choices in the catalogue
_MAX_QUARANTINED = 100


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One loaded model."""

    path: str
    """Relative to the model folder."""
    sha256: str
    size: int
    version: str
    """The first 12 digits of the sha256: what answers cite."""
    load_seq: int
    loaded_at: str
    mode: str
    """The policy that let it in."""
    model_type: str
    dimension: int
    """Numbers in one row of its input."""
    feature_version: str | None = None
    """What it was trained on; None where nothing says so and no installed version has its dimension."""
    input: InputKind = "raw"
    labels: tuple[str, ...] = ()
    accuracy: float | None = None
    warnings: tuple[str, ...] = ()


class Quarantined(msgspec.Struct, frozen=True, kw_only=True):
    """A model that failed too often: nothing but a reload by an operator lets it serve again."""

    path: str
    sha256: str
    reason: str
    """How it failed the last time."""
    at: str


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What should serve, and what could take its place."""

    load_seq: int = 0
    current: ModelInfo | None = None
    previous: ModelInfo | None = None
    quarantined: tuple[Quarantined, ...] = ()

    def with_current(self, info: ModelInfo | None, previous: ModelInfo | None, now: str) -> Choice:
        """Return the choice of another model, under the next number; it is no longer quarantined."""
        number = self.load_seq + 1
        if info is not None:
            info = msgspec.structs.replace(info, load_seq=number, loaded_at=now)
        return Choice(
            load_seq=number,
            current=info,
            previous=previous,
            quarantined=tuple(one for one in self.quarantined if info is None or one.sha256 != info.sha256),
        )

    def without(self, failed: Quarantined) -> Choice:
        """Return the choice once a model has failed too often: the one before it, else none."""
        others = tuple(one for one in self.quarantined if one.sha256 != failed.sha256)
        previous = self.previous if self.previous and self.previous.sha256 != failed.sha256 else None
        changed = msgspec.structs.replace(
            self, previous=previous, quarantined=(*others, failed)[-_MAX_QUARANTINED:]
        )
        if self.current is None or self.current.sha256 != failed.sha256:
            return changed
        return changed.with_current(previous, None, failed.at)


Change = Callable[[Choice], Choice]


class Choices(Protocol):
    """Where the choice is kept."""

    def get(self) -> Choice:
        """Return the newest choice."""

    def update(self, change: Change) -> Choice:
        """Replace the choice by what ``change`` makes of it, while nobody else can; return the new one."""


class OwnChoice:
    """The choice of one process. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._choice = Choice()

    def get(self) -> Choice:
        """Return the newest choice."""
        return self._choice

    def update(self, change: Change) -> Choice:
        """Replace the choice."""
        with self._lock:
            self._choice = change(self._choice)
            return self._choice


class SharedChoice:
    """The choice of every process on a catalogue, kept across restarts."""

    def __init__(self, state: OperatorState) -> None:
        self._state = state

    def get(self) -> Choice:
        """Return the newest choice."""
        return self._state.get(_STATE, Choice) or Choice()

    def update(self, change: Change) -> Choice:
        """Replace the choice, for all processes."""
        return self._state.update(_STATE, Choice, lambda before: change(before or Choice()))
