"""The opcodes that push a number, a text or bytes, and their arguments."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any

from cadml_core.pickles.grammar import Malformed
from cadml_core.pickles.machine import Handler, Machine
from cadml_core.pickles.values import BYTEARRAY, BYTES, FLOAT, LARGE_INTEGER, UNKNOWN, check_text

_MAX_DIGITS = 4000  # Python refuses to read 4,300
_MAX_LINE = 1024  # of the names of globals and the like
_MAX_STRING = 65_536  # no Python 3 writes STRING
_DECIMAL = re.compile(rb"-?(?:0|[1-9][0-9]*)\Z")
_REAL = re.compile(rb"-?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?|inf|nan)\Z")
_ESCAPED = rb"""[^\\\x80-\xff\n]|\\(?:[\\'"abfnrtv]|x[0-7][0-9a-fA-F]|[01][0-7]{2}|[0-7]{1,2}(?![0-7]))"""
_QUOTED = re.compile(rb"'(?:%b)*'\Z|\"(?:%b)*\"\Z" % (_ESCAPED, _ESCAPED))
_ZERO = 0x30
_u16 = struct.Struct("<H").unpack_from
_i32 = struct.Struct("<i").unpack_from
_u32 = struct.Struct("<I").unpack_from
_u64 = struct.Struct("<Q").unpack_from


def read_line(machine: Machine, position: int, limit: int = _MAX_LINE) -> tuple[bytes, int]:
    """Return the text argument that ends with a newline, and the position behind it."""
    end = machine.data.find(b"\n", position, position + limit + 1)
    if end < 0:
        if position + limit < machine.size:
            raise Malformed("long-line", f"the argument of {machine.opcode} is over {limit} bytes")
        raise Malformed("truncated", "the file ends inside the pickle")
    return machine.data[position:end], end + 1


def _counted(read: Callable[[bytes, int], tuple[int]], width: int, value: Any) -> Handler:
    """Make the handler of an opcode whose argument is a length and that many bytes."""

    def handle(machine: Machine, position: int) -> int:
        (length,) = read(machine.data, position)
        if length < 0 or length > machine.size - position - width:
            raise Malformed("length", f"{machine.opcode} declares {length:,} bytes, more than the file has")
        machine.stack.append(value)
        return position + width + length

    return handle


def _u8(data: bytes, position: int) -> tuple[int]:
    return (data[position],)


def push(value: Any, width: int = 0) -> Handler:
    """Make the handler of an opcode that pushes a value whatever its argument."""

    def handle(machine: Machine, position: int) -> int:
        machine.stack.append(value)
        return position + width

    return handle


def _int(machine: Machine, position: int) -> int:
    end = machine.data.find(b"\n", position, position + 19)
    digits = machine.data[position:end]
    if end > 0 and digits.isdigit() and digits[0] != _ZERO:  # the usual case, at a third of the time
        machine.stack.append(int(digits))
        return end + 1
    digits, end = read_line(machine, position, _MAX_DIGITS)
    if digits in (b"00", b"01"):
        machine.stack.append(digits == b"01")
        return end
    machine.stack.append(_decimal(digits))
    return end


def _long(machine: Machine, position: int) -> int:
    digits, end = read_line(machine, position, _MAX_DIGITS)
    machine.stack.append(_decimal(digits.removesuffix(b"L")))
    return end


def _decimal(digits: bytes) -> Any:
    if not _DECIMAL.match(digits):
        raise Malformed("number", f"{digits[:40]!r} is not a canonical decimal integer")
    return int(digits) if len(digits) < 19 else LARGE_INTEGER


def _float(machine: Machine, position: int) -> int:
    digits, end = read_line(machine, position)
    if not _REAL.match(digits):
        raise Malformed("number", f"{digits[:40]!r} is not a canonical decimal number")
    machine.stack.append(FLOAT)
    return end


def _binint(machine: Machine, position: int) -> int:
    machine.stack.append(_i32(machine.data, position)[0])
    return position + 4


def _binint1(machine: Machine, position: int) -> int:
    machine.stack.append(machine.data[position])
    return position + 1


def _binint2(machine: Machine, position: int) -> int:
    machine.stack.append(_u16(machine.data, position)[0])
    return position + 2


def _long1(machine: Machine, position: int) -> int:
    end = position + 1 + machine.data[position]
    if end - position > 9:
        machine.stack.append(LARGE_INTEGER)
    else:
        machine.stack.append(int.from_bytes(machine.data[position + 1 : end], "little", signed=True))
    return end


def _short_binunicode(machine: Machine, position: int) -> int:
    data = machine.data
    machine.stack.append(position - 1.0)
    end = position + 1 + data[position]
    if not data[position + 1 : end].isascii():
        check_text(data, position - 1, position + 1, end)
    return end


def _counted_text(read: Callable[[bytes, int], tuple[int]], width: int) -> Handler:
    skip = _counted(read, width, None)

    def handle(machine: Machine, position: int) -> int:
        end = skip(machine, position)
        machine.stack[-1] = position - 1.0
        check_text(machine.data, position - 1, position + width, end)
        return end

    return handle


def _unicode(machine: Machine, position: int) -> int:
    end = machine.data.find(b"\n", position)
    if end < 0:
        raise Malformed("truncated", "the file ends inside the pickle")
    machine.stack.append(position - 1.0)
    check_text(machine.data, position - 1, position, end, "raw-unicode-escape")
    return end + 1


def _string(machine: Machine, position: int) -> int:
    argument, end = read_line(machine, position, _MAX_STRING)
    if not _QUOTED.match(argument):
        raise Malformed("quotes", "the argument of STRING is not quoted ASCII text")
    # Its escapes are not resolved, so it is never a name.
    machine.stack.append(UNKNOWN)
    return end


def _counted_string(read: Callable[[bytes, int], tuple[int]], width: int) -> Handler:
    """Make the handler of a text of Python 2, which the loader takes for ASCII."""
    skip = _counted(read, width, UNKNOWN)

    def handle(machine: Machine, position: int) -> int:
        end = skip(machine, position)
        check_text(machine.data, position - 1, position + width, end, "ascii")
        return end

    return handle


LITERALS: dict[str, Handler] = {
    "INT": _int,
    "LONG": _long,
    "FLOAT": _float,
    "BININT": _binint,
    "BININT1": _binint1,
    "BININT2": _binint2,
    "LONG1": _long1,
    "LONG4": _counted(_i32, 4, LARGE_INTEGER),
    "NONE": push(None),
    "NEWTRUE": push(True),
    "NEWFALSE": push(False),
    "BINFLOAT": push(FLOAT, 8),
    "STRING": _string,
    "BINSTRING": _counted_string(_i32, 4),
    "SHORT_BINSTRING": _counted_string(_u8, 1),
    "BINBYTES": _counted(_u32, 4, BYTES),
    "SHORT_BINBYTES": _counted(_u8, 1, BYTES),
    "BINBYTES8": _counted(_u64, 8, BYTES),
    "BYTEARRAY8": _counted(_u64, 8, BYTEARRAY),
    "UNICODE": _unicode,
    "SHORT_BINUNICODE": _short_binunicode,
    "BINUNICODE": _counted_text(_u32, 4),
    "BINUNICODE8": _counted_text(_u64, 8),
}
