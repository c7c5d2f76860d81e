"""The arguments that whitelisted functions of numpy and the standard library may get.

These few functions build every array, type and number in a model. Given other arguments than a pickler
writes they take any amount of memory, or make arrays whose raw bytes are used as pointers, so each has its
rule here, by hand. Everything else in the whitelist is described by the generated patterns.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from cadml_core.models.verdict import Call, Shape
from cadml_plugins.policies._patterns import canonical

_PLAIN_CODE = re.compile(r"[<>|=]?(?:[biufc](?:1|2|4|8|16|32)|[?bBhHiIlLqQefdgFDG]|[mM]8|[SUV][0-9]{1,7})\Z")
_OBJECT_CODE = re.compile(r"[<>|=]?O[48]?\Z")
_MAX_ITEMS = 1 << 31
_OBJECT_FLAGS = 63  # every "this holds references" bit that numpy sets for the type O
_ALIGNED = 128
_HARMLESS_FLAGS = frozenset({0, 8, 16, 24, _ALIGNED, _ALIGNED + 8, _ALIGNED + 16, _ALIGNED + 24})
_ARRAY_TYPES = frozenset({"numpy:ndarray", "numpy:matrix", "numpy:recarray"})
_BYTES_MAKERS = frozenset({"_codecs:encode", "builtins:bytes"})


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < _MAX_ITEMS


def _is_bytes(value: Any) -> bool:
    return isinstance(value, Shape) and (
        value.kind == "bytes" or (value.kind == "object" and value.name in _BYTES_MAKERS)
    )


def _is_object(value: Any, maker: str) -> bool:
    return isinstance(value, Shape) and value.kind == "object" and canonical(value.name or "") == maker


def _is_list(value: Any) -> bool:
    return isinstance(value, Shape) and value.kind == "list"


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, Shape) and value.kind == "text")


def _is_type_letter(value: Any) -> bool:
    return bool(value == "b") or _is_bytes(value)


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and all(map(_is_count, value)) and math.prod(value) < _MAX_ITEMS


def _dtype_code(value: Any) -> str:
    """Return the type code that a dtype was made with, empty where it is unknown."""
    if not _is_object(value, "numpy:dtype") or not value.parts:
        return ""
    return value.parts[0] if isinstance(value.parts[0], str) else ""


def _is_object_dtype(value: Any) -> bool:
    return _OBJECT_CODE.match(_dtype_code(value)) is not None


def _is_plain_dtype(value: Any) -> bool:
    return _PLAIN_CODE.match(_dtype_code(value)) is not None


def _is_dtype(value: Any) -> bool:
    return _is_plain_dtype(value) or _is_object_dtype(value)


def _dtype(call: Call) -> bool:
    match call.arguments:
        case (str() as code, int(), int()):
            return bool(_PLAIN_CODE.match(code) or _OBJECT_CODE.match(code))
        case _:
            return False


def _dtype_state(call: Call) -> bool:
    """The state decides how bytes are read, so it must say what the type code says."""
    match call.arguments, call.receiver:
        case (
            3 | 4,
            "<" | ">" | "|" | "=",
            None,
            names,
            fields,
            int() as size,
            int(),
            int() as flags,
            *rest,
        ), (
            str() as code,
            *_,
        ):
            if rest and not _is_datetime_unit(code, rest):
                return False
            if _OBJECT_CODE.match(code):
                return names is None and fields is None and flags == _OBJECT_FLAGS
            if not _PLAIN_CODE.match(code) or flags not in _HARMLESS_FLAGS:
                return False
            if names is None:
                return fields is None and -1 <= size <= 10_000_000
            return code.lstrip("<>|=") == f"V{size}" and _are_fields(names, fields, size)
        case _:
            return False


def _is_datetime_unit(code: str, rest: list[Any]) -> bool:
    return code.lstrip("<>|=")[0] in "mM" and len(rest) == 1 and isinstance(rest[0], tuple | Shape)


def _are_fields(names: Any, fields: Any, size: int) -> bool:
    """Fields without references, inside the item."""
    if not isinstance(names, tuple) or not isinstance(fields, Shape) or len(fields.parts) != len(names):
        return False
    for key, value in fields.parts:
        match value:
            case (dtype, int() as offset):
                if key not in names or not _is_plain_dtype(dtype) or offset < 0:
                    return False
                if offset + _plain_size(_dtype_code(dtype)) > size:
                    return False
            case _:
                return False
    return True


def _plain_size(code: str) -> int:
    """Return the bytes of one item: a bound where the platform decides."""
    code = code.lstrip("<>|=")
    digits = code[1:]
    if not digits:
        return {"?": 1, "b": 1, "B": 1, "h": 2, "H": 2, "e": 2, "i": 4, "I": 4, "f": 4}.get(code, 16)
    return int(digits) * (4 if code[0] == "U" else 1)


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
            if _is_object_dtype(dtype):
                return _is_list(content)
            return _is_plain_dtype(dtype) and (_is_bytes(content) or _is_text(content))
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
            if _is_object_dtype(dtype):
                return _is_list(content)
            return _is_plain_dtype(dtype) and _is_bytes(content)
        case _:
            return False


def _frombuffer(call: Call) -> bool:
    match call.arguments:
        case (Shape(kind="bytes" | "bytearray" | "object") as content, dtype, shape, "C" | "F" | "A"):
            buffer = content.kind != "object" or content.name in {*_BYTES_MAKERS, "builtins:bytearray"}
            return buffer and _is_plain_dtype(dtype) and _is_shape(shape)
        case _:
            return False


def _scalar(call: Call) -> bool:
    match call.arguments:
        case (dtype, content):
            return _is_plain_dtype(dtype) and (_is_bytes(content) or _is_text(content))
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
    """A defaultdict whose values start as a number, a list or a dict."""
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
    ("numpy:dtype", "BUILD"): _dtype_state,
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
"""(callee, opcode) -> whether a call is one that a pickler writes."""
