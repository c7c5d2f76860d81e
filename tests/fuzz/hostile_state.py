"""Ways to pickle a fitted model with a state that no training gives it."""

from __future__ import annotations

import copyreg
import io
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

Reduced = tuple[Any, ...]
Edit = Callable[[Reduced], Reduced]


class _Editing(pickle.Pickler):
    """Writes objects as they are, but those of some classes with another state."""

    def __init__(self, stream: io.BytesIO, protocol: int, edits: dict[str, Edit]) -> None:
        super().__init__(stream, protocol)
        self._edits = edits

    def reducer_override(self, value: Any) -> Any:
        """Edit what the object would be pickled as."""
        edit = self._edits.get(type(value).__name__)
        if edit is None or isinstance(value, type):
            return NotImplemented
        return edit(value.__reduce_ex__(max(2, self._protocol)))

    _protocol = 2


def dump(model: Any, protocol: int = 4, **edits: Edit) -> bytes:
    """Pickle a model; each edit names a class and changes what its objects are reduced to.

    Edited objects are written as protocol 2 reduces them, which no pickler does for protocols 0 and 1.
    """
    stream = io.BytesIO()
    _Editing(stream, max(protocol, 2) if edits else protocol, edits).dump(model)
    return stream.getvalue()


def with_state(**changes: Any) -> Edit:
    """Return an edit that replaces entries of a dict state; functions get the old value."""

    def edit(reduced: Reduced) -> Reduced:
        state = dict(reduced[2])
        for name, change in changes.items():
            state[name] = change(state[name]) if callable(change) and name in state else change
        return (*reduced[:2], state, *reduced[3:])

    return edit


def with_arguments(*arguments: Any) -> Edit:
    """Return an edit that calls with other arguments."""
    return lambda reduced: (reduced[0], arguments, *reduced[2:])


def with_part(index: int, change: Callable[[Any], Any]) -> Edit:
    """Return an edit of one part of a state that is a tuple."""

    def edit(reduced: Reduced) -> Reduced:
        state = list(reduced[2])
        state[index] = change(state[index])
        return (*reduced[:2], tuple(state), *reduced[3:])

    return edit


def at(index: int, value: Any, field: str | None = None) -> Callable[[Any], Any]:
    """Return a change of one item, or one field of it, in a copy of an array."""

    def change(array: Any) -> Any:
        changed = np.array(array)
        if field is None:
            changed[index] = value
        else:
            changed[field][index] = value
        return changed

    return change


def first_k(rows: int) -> Callable[[Any], Any]:
    """Return a change that keeps the first items only."""
    return lambda array: np.ascontiguousarray(array[:rows])


def narrow(array: Any) -> Any:
    """Return an array without its last column."""
    return np.ascontiguousarray(array[..., :-1])


class Calls:
    """Is pickled as a call."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self._call = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Any:
        """Return the call."""
        return self._call


class Data:
    """Training rows: 60 of six numbers, or another width, three labels."""

    def __init__(self) -> None:
        self.widen(6)

    def widen(self, width: int) -> None:
        """Make rows of so many numbers: those of a part, for models that a server should ask."""
        random = np.random.default_rng(5)
        self.labels = np.arange(60) % 3
        self.rows = np.abs(random.normal(size=(60, width))) + self.labels[:, None]
        self.words = np.array(["bolt", "nut", "plate"])[self.labels]

    def fit(self, model: Any, labels: Any = None) -> Any:
        """Fit a copy of a classifier, quietly."""
        from sklearn.base import clone

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return clone(model).fit(self.rows, self.labels if labels is None else labels)


DATA = Data()


def set_raw(model: Any, **attributes: Any) -> Any:
    """Set attributes of an object whatever its class says, and return it."""
    model.__dict__.update(attributes)
    return model


def instance(kind: type, **attributes: Any) -> Any:
    """Make an object without its constructor."""
    return set_raw(copyreg.__newobj__(kind), **attributes)  # type: ignore[attr-defined]
