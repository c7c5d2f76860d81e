"""Checks that the state of a pickled numpy type is consistent about where references lie.

numpy does not check the flags and offsets in the state. A type that hides a reference makes numpy use bytes
of the file as a pointer; one whose fields lie outside of the item makes it read memory beyond the array.
"""

from __future__ import annotations

import math
import re
from typing import Any

from cadml_core import Call, Shape

_PLAIN_CODE = re.compile(r"[<>|=]?(?:[biufc](?:1|2|4|8|16|32)|[?bBhHiIlLqQefdgFDG]|[mM]8|[SUV][0-9]{1,7})\Z")
_OBJECT_CODE = re.compile(r"[<>|=]?O[48]?\Z")
_PLATFORM_SIZES = {"?": 1, "b": 1, "B": 1, "h": 2, "H": 2, "e": 2, "i": 4, "I": 4, "f": 4}
# Item flags of numpy's PyArray_Descr: 1 reference count, 2 list pickle, 4 pointer, 8 needs initialisation,
# 16 needs the interpreter, 32 use getitem, 128 aligned struct.
_OBJECT_TYPE_FLAGS = 63  # the type O
_OBJECT_ITEM_FLAGS = frozenset({27, 63})  # items and subarrays with objects
_ALIGNED = 128  # any struct may have it
_UNKNOWN_SIZE = 1 << 40  # larger than any item, so that it fits nowhere
_PLAIN_FLAGS = frozenset({0, 8, 16, 24})


def is_known_code(code: str) -> bool:
    """Tell whether numpy writes this type code."""
    return bool(_PLAIN_CODE.match(code) or _OBJECT_CODE.match(code))


def holds_objects(dtype: Any) -> bool | None:
    """Tell whether items of a type contain references; None where that is not known."""
    code = _code(dtype)
    if _OBJECT_CODE.match(code):
        return True
    if not _PLAIN_CODE.match(code):
        return None
    match dtype.state:
        case (_, _, (base, _), None, None, *_) if _is_void(code):
            return holds_objects(base)
        case (_, _, None, tuple(), Shape(kind="dict", parts=fields), *_) if _is_void(code):
            held = [
                holds_objects(field[0]) if isinstance(field, tuple) and field else None for _, field in fields
            ]
            return None if None in held else any(held)
        case _:
            return False


def is_sound_state(call: Call) -> bool:
    """Tell whether ``BUILD`` sets the state that numpy writes for the code of the type."""
    match call.arguments, call.receiver:
        case (
            (3 | 4, "<" | ">" | "|" | "=", inner, names, fields, int() as size, int(), int() as flags, *rest),
            (str() as code, *_),
        ):
            if call.late or (rest and not _is_datetime_unit(code, rest)):
                return False
            if _OBJECT_CODE.match(code):
                return (inner, names, fields, flags) == (None, None, None, _OBJECT_TYPE_FLAGS)
            if inner is None and names is None:
                return fields is None and bool(_PLAIN_CODE.match(code)) and flags in _PLAIN_FLAGS
            if code.lstrip("<>|=") != f"V{size}":
                return False
            if names is None:
                return fields is None and _is_subarray(inner, size, flags)
            return inner is None and _are_fields(names, fields, size, flags)
        case _:
            return False


def _code(dtype: Any) -> str:
    """Return the type code that a dtype was made with, empty where it is unknown."""
    if not isinstance(dtype, Shape) or dtype.name != "numpy:dtype" or not dtype.parts:
        return ""
    return dtype.parts[0] if isinstance(dtype.parts[0], str) else ""


def _is_void(code: str) -> bool:
    return "V" in code


def _is_datetime_unit(code: str, rest: list[Any]) -> bool:
    return code.lstrip("<>|=")[:1] in ("m", "M") and len(rest) == 1 and isinstance(rest[0], tuple | Shape)


def _is_subarray(inner: Any, size: int, flags: int) -> bool:
    match inner:
        case (Shape() as base, tuple() as shape) if all(isinstance(n, int) and n > 0 for n in shape):
            return _size(base) * math.prod(shape) == size and _flags_fit([holds_objects(base)], flags)
        case _:
            return False


def _are_fields(names: Any, fields: Any, size: int, flags: int) -> bool:
    """Tell whether the fields lie inside the item without overlap, and the flags declare any references."""
    if not isinstance(names, tuple) or not isinstance(fields, Shape) or fields.kind != "dict":
        return False
    keys = [key for key, _ in fields.parts]
    # Each name once, and each with its field: numpy crashes where one is missing.
    if not len(keys) == len(set(keys)) == len(names) or set(keys) != set(names):
        return False
    spans: list[tuple[int, int]] = []
    held: list[bool | None] = []
    for _, field in fields.parts:
        match field:
            case (Shape() as dtype, int() as offset) | (Shape() as dtype, int() as offset, str()):
                spans.append((offset, offset + _size(dtype)))
                held.append(holds_objects(dtype))
            case _:
                return False
    edges = [edge for span in sorted(spans) for edge in span]
    inside = all(0 <= edge <= size for edge in edges)
    return inside and edges == sorted(edges) and _flags_fit(held, flags)


def _flags_fit(held: list[bool | None], flags: int) -> bool:
    if None in held:
        return False
    own = flags & ~_ALIGNED
    return own in _OBJECT_ITEM_FLAGS if any(held) else own in _PLAIN_FLAGS


def _size(dtype: Shape) -> int:
    """Return the size of one item in bytes; the largest possible where it depends on the platform."""
    code = _code(dtype)
    if not is_known_code(code):
        return _UNKNOWN_SIZE
    code = code.lstrip("<>|=")
    if code[0] == "O":
        return 8
    if not code[1:]:
        return _PLATFORM_SIZES.get(code, 16)
    return int(code[1:]) * (4 if code[0] == "U" else 1)
