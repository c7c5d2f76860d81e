"""Which arguments a call in a pickle may have: descriptions of them, and hand-written rules.

The built-in whitelist consists of descriptions, such as ``(global numpy:ndarray, (0), bytes)``; the policy
describes each call of a scan and looks it up. The few functions of numpy and the standard library that build
every array, type and number have hand-written rules instead: with arguments that no pickler writes they
allocate any amount of memory, or make arrays whose raw bytes are used as pointers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from cadml_core import Call, Shape
from cadml_plugins.policies._dtypes import holds_objects, is_known_code, is_sound_state

_MAX_ITEMS = 1 << 31
"""An array must have fewer items."""
_ARRAY_TYPES = frozenset({"numpy:ndarray", "numpy:matrix", "numpy:recarray"})
_BYTES_MAKERS = frozenset({"_codecs:encode", "builtins:bytes"})
LARGEST_INTEGER = 1_000_000
"""Integers up to this are described alike. Larger ones are described by their value: a few real models have
checksums, and no other large number may become the size of an allocation."""

# Which function makes an array or bytes depends on the pickle protocol and the numpy version.
_ARRAY_MAKERS = frozenset({"numpy._core.numeric:_frombuffer", "numpy._core.multiarray:_reconstruct"})
_ALIASES = {
    "_codecs:encode": "bytes",
    "builtins:bytes": "bytes",
    "builtins:bytearray": "bytearray",
    "builtins:set": "set",
    "builtins:frozenset": "frozenset",
    "builtins:complex": "complex",
}


def canonical(label: str) -> str:
    """Return the name that numpy 2 uses for what is under ``numpy.core`` in numpy 1."""
    return label.replace("numpy.core.", "numpy._core.", 1) if label.startswith("numpy.core.") else label


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < _MAX_ITEMS


def _is_bytes(value: Any) -> bool:
    return isinstance(value, Shape) and (
        value.kind == "bytes" or (value.kind == "object" and value.name in _BYTES_MAKERS)
    )


def _is_object(value: Any, maker: str) -> bool:
    return isinstance(value, Shape) and value.kind == "object" and canonical(value.name or "") == maker


def _is_list(value: Any, shape: Any) -> bool:
    """Tell whether this is a list with as many items as the array has: numpy crashes on fewer."""
    return isinstance(value, Shape) and value.kind == "list" and sum(value.parts) == math.prod(shape)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, Shape) and value.kind == "text")


def _is_type_letter(value: Any) -> bool:
    return bool(value == "b") or _is_bytes(value)


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and all(map(_is_count, value)) and math.prod(value) < _MAX_ITEMS


def _dtype(call: Call) -> bool:
    match call.arguments:
        case (str() as code, int(), int()):
            return is_known_code(code)
        case _:
            return False


def _reconstruct(call: Call) -> bool:
    match call.arguments:
        case (Shape(kind="global", name=str() as made), (0,), kind):
            return made in _ARRAY_TYPES and _is_type_letter(kind)
        case _:
            return False


def _array_state(call: Call) -> bool:
    match call.arguments:
        case (1 | 2, shape, dtype, int(), content):
            if not _is_shape(shape):
                return False
            if holds_objects(dtype):
                return _is_list(content, shape)
            return holds_objects(dtype) is False and (_is_bytes(content) or _is_text(content))
        case _:
            return False


def _masked(call: Call) -> bool:
    match call.arguments:
        case (
            Shape(kind="global", name="numpy.ma:MaskedArray" | "numpy.ma.core:MaskedArray"),
            Shape(kind="global", name="numpy:ndarray"),
            (0,),
            kind,
        ):
            return _is_type_letter(kind)
        case _:
            return False


def _masked_state(call: Call) -> bool:
    match call.arguments:
        case (1, shape, dtype, int(), content, mask, _):
            if not _is_shape(shape) or not _is_bytes(mask):
                return False
            if holds_objects(dtype):
                return _is_list(content, shape)
            return holds_objects(dtype) is False and _is_bytes(content)
        case _:
            return False


def _frombuffer(call: Call) -> bool:
    match call.arguments:
        case (Shape(kind="bytes" | "bytearray" | "object") as content, dtype, shape, "C" | "F" | "A"):
            buffer = content.kind != "object" or content.name in {*_BYTES_MAKERS, "builtins:bytearray"}
            return buffer and holds_objects(dtype) is False and _is_shape(shape)
        case _:
            return False


def _scalar(call: Call) -> bool:
    match call.arguments:
        case (dtype, content):
            return holds_objects(dtype) is False and (_is_bytes(content) or _is_text(content))
        case _:
            return False


def _encode(call: Call) -> bool:
    match call.arguments:
        case (content, "latin1" | "latin-1"):
            return _is_text(content)
        case _:
            return False


def _made_of_list(call: Call) -> bool:
    match call.arguments:
        case (Shape(kind="list"),):
            return True
        case _:
            return False


def _bytes(call: Call) -> bool:
    return bool(call.arguments == ())


def _bytearray(call: Call) -> bool:
    match call.arguments:
        case () | (Shape(kind="bytes"),):
            return True
        case (content, "latin1" | "latin-1"):
            return _is_text(content)
        case (content,):
            return _is_bytes(content)
        case _:
            return False


def _numbers(call: Call) -> bool:
    return isinstance(call.arguments, tuple) and all(_is_number(item) for item in call.arguments)


def _is_number(value: Any) -> bool:
    if isinstance(value, Shape):
        return value.kind == "float" or _is_object(value, "numpy._core.multiarray:scalar")
    return value is None or isinstance(value, int)


def _empty(call: Call) -> bool:
    return bool(call.arguments == ())


def _factory(call: Call) -> bool:
    """Allow a defaultdict whose values start as a number, a list, a dict or a set."""
    match call.arguments:
        case (
            Shape(
                kind="global",
                name="builtins:int" | "builtins:float" | "builtins:list" | "builtins:dict" | "builtins:set",
            ),
        ):
            return True
        case _:
            return bool(call.arguments in ((), (None,)))


def _any(call: Call) -> bool:
    return call is not None


ARGUMENT_RULES: Mapping[tuple[str, str], Callable[[Call], bool]] = {
    ("numpy:dtype", "REDUCE"): _dtype,
    ("numpy:dtype", "BUILD"): is_sound_state,
    ("numpy._core.multiarray:_reconstruct", "REDUCE"): _reconstruct,
    ("numpy._core.multiarray:_reconstruct", "BUILD"): _array_state,
    ("numpy._core.multiarray:scalar", "REDUCE"): _scalar,
    ("numpy._core.numeric:_frombuffer", "REDUCE"): _frombuffer,
    ("numpy.ma.core:_mareconstruct", "REDUCE"): _masked,
    ("numpy.ma.core:_mareconstruct", "BUILD"): _masked_state,
    ("_codecs:encode", "REDUCE"): _encode,
    ("builtins:bytes", "REDUCE"): _bytes,
    ("builtins:bytearray", "REDUCE"): _bytearray,
    ("builtins:set", "REDUCE"): _made_of_list,
    ("builtins:frozenset", "REDUCE"): _made_of_list,
    ("builtins:complex", "REDUCE"): _numbers,
    ("builtins:slice", "REDUCE"): _numbers,
    ("builtins:range", "REDUCE"): _numbers,
    ("collections:OrderedDict", "REDUCE"): _empty,
    ("collections:defaultdict", "REDUCE"): _factory,
    ("collections:OrderedDict", "SETITEM"): _any,
    ("collections:OrderedDict", "SETITEMS"): _any,
    ("collections:defaultdict", "SETITEM"): _any,
    ("collections:defaultdict", "SETITEMS"): _any,
}
"""(callee, opcode) -> whether a call is one that a pickler writes. Each rule gets the call."""


def pattern(shown: Any) -> str:
    """Describe an argument or a tuple of them, such as ``(global numpy:ndarray, (0), bytes)``."""
    if isinstance(shown, tuple):
        return f"({', '.join(map(pattern, shown))})"
    if isinstance(shown, Shape):
        return _shape_pattern(shown)
    if isinstance(shown, int):
        return "int" if abs(shown) <= LARGEST_INTEGER else f"int {shown}"
    return repr(shown)


def _shape_pattern(shape: Shape) -> str:
    if shape.kind == "global":
        return f"global {canonical(shape.name or '')}"
    if shape.kind != "object" or shape.name is None:
        return shape.kind
    maker = canonical(shape.name)
    if maker in _ARRAY_MAKERS:
        return "array"
    return _ALIASES.get(maker, f"object {maker}")
