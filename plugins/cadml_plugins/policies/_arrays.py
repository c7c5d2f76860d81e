"""The arrays and texts in a scanned pickle, as far as the file states them; numpy's unpickling never runs."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection
from typing import Any

import numpy as np

from cadml_core import Made
from cadml_plugins.policies._arguments import canonical
from cadml_plugins.policies._dtypes import is_known_code

_RECONSTRUCT = frozenset({"numpy._core.multiarray:_reconstruct", "numpy.ma.core:_mareconstruct"})
_FROMBUFFER = "numpy._core.numeric:_frombuffer"
_SCALAR = "numpy._core.multiarray:scalar"
_COST_OF_CALL = 1000  # in bytes looked at in the same time
_SETS = frozenset({"builtins:set", "builtins:frozenset"})
ITEMS = frozenset({"collections:OrderedDict", "collections:defaultdict", "collections:deque"})


class TooMuch(Exception):
    """Looking at all arrays of the file would take too long."""


def made_label(value: Any) -> str | None:
    """Return ``module:name`` of what made an object, None for any other value."""
    return canonical(value.label) if isinstance(value, Made) else None


def global_label(value: Any) -> str | None:
    """Return ``module:name`` of a global among the values, None for any other value."""
    return canonical(value.label) if isinstance(value, type) and issubclass(value, Made) else None


def is_array(value: Any) -> bool:
    """Tell whether a value is an array of any type."""
    return made_label(value) in _RECONSTRUCT or made_label(value) == _FROMBUFFER


def type_code(dtype: Any) -> str:
    """Return the code of a type without its byte order, such as ``f8``; empty where it is unknown."""
    if made_label(dtype) != "numpy:dtype" or not dtype.arguments or not isinstance(dtype.arguments[0], str):
        return ""
    return dtype.arguments[0].lstrip("<>|=") if is_known_code(dtype.arguments[0]) else ""


def parts_of(value: Any) -> tuple[Any, Any, bool, Any] | None:
    """Return (dtype, shape, whether in Fortran order, content) of an array, None where it has none."""
    if made_label(value) == _FROMBUFFER and len(value.arguments) == 4:
        content, dtype, shape, order = value.arguments
        return dtype, shape, order == "F", content
    if made_label(value) in _RECONSTRUCT and len(value.states) == 1 and len(value.states[0]) >= 5:
        _, shape, dtype, fortran, content = value.states[0][:5]
        return dtype, shape, bool(fortran), content
    return None


class Arrays:
    """Reads the arrays of one pickle.

    Args:
        budget: How many bytes may be looked at in total, the same ones twice counted twice.
    """

    def __init__(self, budget: int) -> None:
        self._left = budget
        self._encoded: dict[int, bytes] = {}
        self._read: dict[int, np.ndarray[Any, Any] | None] = {}

    def read(self, value: Any) -> np.ndarray[Any, Any] | None:
        """Return an array of numbers, texts or records of numbers, read-only; None for everything else.

        Raises:
            TooMuch: The budget is spent.
        """
        parts = parts_of(value)
        if parts is None:
            return None
        if id(value) not in self._read:
            try:
                self._read[id(value)] = self._array(*parts)
            except (TypeError, ValueError, KeyError, IndexError, OverflowError):
                self._read[id(value)] = None
        found = self._read[id(value)]
        self.spend(_COST_OF_CALL if found is None else _COST_OF_CALL + found.nbytes)
        return found

    def _array(self, dtype: Any, shape: Any, fortran: bool, content: Any) -> np.ndarray[Any, Any] | None:
        kind = _numpy_type(dtype)
        data = self.bytes_of(content)
        if kind is None or data is None or kind.hasobject or math.prod(shape) * kind.itemsize != len(data):
            return None
        flat: np.ndarray[Any, Any] = np.frombuffer(data, kind) if kind.itemsize else np.zeros(0, kind)
        if not _are_characters(flat):
            return None
        return flat.reshape(shape, order="F" if fortran else "C")

    def objects(self, value: Any) -> list[Any] | None:
        """Return the items of an array of objects, None for every other value."""
        parts = parts_of(value)
        return parts[3] if parts is not None and isinstance(parts[3], list) else None

    def bytes_of(self, content: Any) -> bytes | bytearray | None:
        """Return bytes however the protocol writes them."""
        if isinstance(content, bytes | bytearray):
            return content
        if isinstance(content, str):
            if id(content) not in self._encoded:
                self.spend(len(content))
                self._encoded[id(content)] = content.encode("latin-1")
            return self._encoded[id(content)]
        match made_label(content), content.arguments if isinstance(content, Made) else ():
            case "_codecs:encode", (str() as text, "latin1" | "latin-1"):
                return self.bytes_of(text)
            case "builtins:bytearray", (inner, *_):
                return self.bytes_of(inner)
            case "builtins:bytes" | "builtins:bytearray", ():
                return b""
        return None

    def plain(self, value: Any) -> Any:
        """Return a number or text that numpy wrapped as itself, every other value as it is."""
        if made_label(value) != _SCALAR or len(value.arguments) != 2:
            return value
        kind, data = _numpy_type(value.arguments[0]), self.bytes_of(value.arguments[1])
        if kind is None or kind.hasobject or data is None or kind.itemsize != len(data) or not data:
            return value
        array = np.frombuffer(data, kind)
        if not _are_characters(array):
            return value
        item = array[0].item()
        return item if isinstance(item, bool | int | float | str) else value

    def spend(self, amount: int) -> None:
        """Take from the budget.

        Raises:
            TooMuch: It is spent.
        """
        self._left -= amount
        if self._left < 0:
            raise TooMuch


def _are_characters(array: np.ndarray[Any, Any]) -> bool:
    """Tell whether texts consist of code points; numpy makes invalid texts of other numbers."""
    if array.dtype.kind != "U" or not array.size or not array.itemsize:
        return True
    numbers = array.view(np.dtype("u4").newbyteorder(array.dtype.byteorder))
    return bool(numbers.max() <= sys.maxunicode)


def items_of(value: Any) -> Collection[Any] | None:
    """Return the content of a container, pairs of a dict as tuples; None where it is none."""
    if isinstance(value, dict):
        return value.items()
    if isinstance(value, list | tuple | set | frozenset):
        return value
    if not isinstance(value, Made):
        return None
    label = canonical(value.label)
    if label in _SETS or label == "collections:Counter":
        return value.arguments
    return value.items if label in ITEMS else None


def _numpy_type(dtype: Any) -> np.dtype[Any] | None:
    """Return the numpy type, made anew from code, byte order and fields; None where it is not plain."""
    code = type_code(dtype)
    if not code or len(dtype.states) > 1:
        return None
    state: tuple[Any, ...] = dtype.states[0] if dtype.states else (3, "|", None, None, None)
    _, order, inner, names, fields = state[:5]
    if names is None:
        return None if inner is not None else np.dtype((order if order in "<>" else "") + code)
    formats = [_numpy_type(fields[name][0]) for name in names]
    offsets = [fields[name][1] for name in names]
    if any(one is None for one in formats) or code != f"V{state[5]}":
        return None
    layout: Any = {"names": list(names), "formats": formats, "offsets": offsets, "itemsize": state[5]}
    found: np.dtype[Any] = np.dtype(layout)
    return found
