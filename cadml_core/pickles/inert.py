"""What a scanned pickle makes, with all values: the real loader runs, on stand-ins for every global.

The scan decides first. It keeps no values, but it knows that the file is sound, bounded, and asks for
nothing that only the loading process could answer. Then the same implementation of the pickle machine that
would load the model reads the file once more; whatever the file imports is a class made here, whose calls,
states and items are recorded. Nothing is imported and no code of the file's choice runs.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterable
from typing import Any, ClassVar

from cadml_core.contracts.policies import Made
from cadml_core.pickles.values import Global

UNKNOWABLE = frozenset({"unresolved-global", "extension", "persistent-id", "computed-call", "changes-global"})
"""Oddities after which it is not known what a pickle makes."""

_COPYREG = frozenset({"copyreg:_reconstructor", "copyreg:__newobj__", "copyreg:__newobj_ex__"})


class NotLoadable(Exception):
    """The standard library's loader cannot read the pickle either, or only if a call returned a tuple."""


class Recorded(Made):
    """Records what a pickle does to an object."""

    __slots__ = ()
    made: ClassVar[list[Made]] = []

    def __new__(cls, *arguments: Any, **keywords: Any) -> Any:
        """Record a call of the global that this class stands for."""
        return _record(cls, arguments, keywords)

    def __setstate__(self, state: Any) -> None:
        """Record BUILD."""
        self.states.append(dict(state) if type(state) is dict else state)

    def append(self, item: Any) -> None:
        """Record APPEND."""
        self.items.append(item)

    def extend(self, items: Iterable[Any]) -> None:
        """Record APPENDS."""
        self.items.extend(items)

    def add(self, item: Any) -> None:
        """Record ADDITEMS."""
        self.items.append(item)

    def __setitem__(self, key: Any, value: Any) -> None:
        """Record SETITEM."""
        self.items.append((key, value))


class Reconstructed(Recorded):
    """Stands for the functions of copyreg, which make an object of the class that they are given."""

    __slots__ = ()

    def __new__(cls, *arguments: Any, **keywords: Any) -> Any:
        """Record a call of the class instead."""
        if not arguments or not (isinstance(arguments[0], type) and issubclass(arguments[0], Recorded)):
            return _record(cls, arguments, keywords)
        kind, *rest = arguments
        if cls.label != "copyreg:_reconstructor":
            return _record(kind, tuple(rest), keywords)
        found = _record(kind, (), {})
        base_state = rest[1] if len(rest) > 1 else None
        found.items.extend(base_state.items() if isinstance(base_state, dict) else base_state or ())
        return found


def _record(kind: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    found = object.__new__(kind)
    found.arguments, found.keywords = arguments, keywords
    found.states, found.items = [], []
    kind.made.append(found)
    return found


class InertUnpickler(pickle.Unpickler):
    """Gives the pickle stand-ins, and refuses everything else that it could ask for."""

    def __init__(self, data: bytes, labels: dict[str, str]) -> None:
        super().__init__(io.BytesIO(data))
        self.made: list[Made] = []
        self._labels = labels
        self._classes: dict[str, type] = {}

    def find_class(self, module: str, name: str, /) -> Any:
        """Return the class that stands for a global."""
        label = self._labels[f"{module}:{name}"]
        if label not in self._classes:
            base = Reconstructed if label in _COPYREG else Recorded
            members = {"__slots__": (), "label": label, "made": self.made}
            self._classes[label] = type("Recorded", (base,), members)
        return self._classes[label]

    def persistent_load(self, pid: Any) -> Any:  # noqa: ARG002
        """Refuse."""
        raise pickle.UnpicklingError("persistent ids are refused by the scan")


def record_objects(data: bytes, found: Iterable[Global]) -> tuple[Made, ...]:
    """Return every object that a call in the pickle makes, in the order of the calls.

    Args:
        data: A pickle whose scan is well-formed and has none of the oddities in ``UNKNOWABLE``.
        found: The globals that the scan saw.

    Raises:
        NotLoadable: The loader ends with an error, for example at a key that cannot be hashed.
    """
    labels = {one.raw: one.label for one in found if one.raw is not None and one.label is not None}
    unpickler = InertUnpickler(data, labels)
    try:
        unpickler.load()
    except Exception as error:  # noqa: BLE001  (whatever the loader raises for this file)
        raise NotLoadable(f"Python's loader cannot read it: {type(error).__name__}: {error}"[:200]) from None
    return tuple(unpickler.made)
