"""The objects of one pickle, as the structural rules see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cadml_core import Made
from cadml_plugins.policies._arrays import Arrays, made_label, parts_of

Array = np.ndarray[Any, Any]


class Unsound(Exception):
    """Native code would go wrong with this object; the message says why."""


def need(condition: Any, message: str) -> None:
    """Raise where a condition does not hold.

    Raises:
        Unsound: With the message.
    """
    if not condition:
        raise Unsound(message)


class View:
    """Reads attributes, and remembers which objects were checked together with their owner."""

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays
        self.owned: set[int] = set()

    def state(self, value: Any, label: str = "") -> Mapping[str, Any]:
        """Return the attributes of an object, empty where it has none.

        Raises:
            Unsound: A label is given, and it is no object of that kind.
        """
        need(not label or label in (made_label(value) or ""), f"{made_label(value)} is where {label} belongs")
        found = value.states[-1] if isinstance(value, Made) and value.states else {}
        return found if isinstance(found, dict) else {}

    def array(self, value: Any, name: str, ndim: int | None = None, kinds: str = "iufb") -> Array:
        """Return an array of numbers.

        Raises:
            Unsound: It is none, or has other dimensions or another kind of number.
        """
        found = self.arrays.read(value)
        if found is None or found.dtype.kind not in kinds:
            raise Unsound(f"{name} is not an array of the expected type")
        need(ndim is None or found.ndim == ndim, f"{name} has {found.ndim} dimensions")
        return found

    def integer(self, value: Any, name: str, least: int = 0) -> int:
        """Return an integer.

        Raises:
            Unsound: It is none, or too small.
        """
        plain = self.arrays.plain(value)
        if not isinstance(plain, int) or isinstance(plain, bool) or plain < least:
            raise Unsound(f"{name} is not an integer from {least}")
        return plain

    def objects(self, value: Any, name: str) -> tuple[list[Any], tuple[int, ...]]:
        """Return items and shape of an array of objects.

        Raises:
            Unsound: It is none.
        """
        items, parts = self.arrays.objects(value), parts_of(value)
        if items is None or parts is None or not isinstance(parts[1], tuple):
            raise Unsound(f"{name} is not an array of objects")
        self.arrays.spend(1000 * len(items))
        return items, parts[1]

    def own(self, value: Any) -> None:
        """Note that an object was checked together with what holds it."""
        self.owned.add(id(value))
