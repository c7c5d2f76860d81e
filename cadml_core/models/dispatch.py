"""The opcodes: what each does to the simulated machine, and the loop that runs them."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any

from cadml_core.models.machine import Machine, Malformed
from cadml_core.models.opcodes import CODE_OF, HIGHEST_PROTOCOL, MINIMUM_PROTOCOL, describe
from cadml_core.models.values import (
    BYTEARRAY,
    BYTES,
    FLOAT,
    FROZENSET,
    LARGE_INTEGER,
    LONG_TUPLE,
    NEW_DICT,
    NEW_LIST,
    NEW_SET,
    UNKNOWN,
    Global,
    Node,
)
from cadml_core.models.verdict import Shape

Handler = Callable[[Machine, int], int]
"""Takes the machine and the position behind the opcode, returns the position of the next one."""

_MAX_DIGITS = 4000  # Python refuses to read 4,300
_MAX_LINE = 1024  # of text arguments other than texts and numbers
_NATURAL = re.compile(rb"(?:0|[1-9][0-9]{0,9})\Z")
_DECIMAL = re.compile(rb"-?(?:0|[1-9][0-9]*)\Z")
_REAL = re.compile(rb"-?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?|inf|nan)\Z")
_u16 = struct.Struct("<H").unpack_from
_i32 = struct.Struct("<i").unpack_from
_u32 = struct.Struct("<I").unpack_from
_u64 = struct.Struct("<Q").unpack_from
_ZERO = 0x30
_STOPPED = -1  # as the end of the frame: the walk is over


def run(machine: Machine) -> None:
    """Walk to STOP.

    Raises:
        Malformed: At the first broken rule; the machine's ``position`` is that of its opcode.
    """
    try:
        _run(machine)
    except (IndexError, struct.error) as error:
        if "list" in str(error):  # the machine's stack; running off the file speaks of bytes
            raise Malformed("stack-underflow", f"{machine.opcode} finds too few values") from None
        raise Malformed("truncated", "the file ends inside the pickle") from None
    except MemoryError:
        raise Malformed("memory", "scanning the pickle takes more memory than there is") from None


def _run(machine: Machine) -> None:
    data, counts = machine.data, machine.counts
    handlers = machine.handlers = [_first] * 256
    position = 0
    for _ in range(machine.limits.max_opcodes):
        machine.position = position
        code = data[position]
        counts[code] += 1
        position = handlers[code](machine, position + 1)
        if position >= machine.frame_end and _passed_end(machine, position):
            return
    raise Malformed("limit-opcodes", f"more than {machine.limits.max_opcodes:,} opcodes")


def _passed_end(machine: Machine, position: int) -> bool:
    """Tell whether this is the end of the pickle, not of a frame."""
    if machine.frame_end == _STOPPED:
        return True
    if machine.size >= position > machine.frame_end:
        raise Malformed("frame-straddled", f"{machine.opcode} reaches over the end of its frame")
    if position <= machine.size:
        machine.frame_end = machine.size + 1
    return False


def _first(machine: Machine, position: int) -> int:
    """Handle an opcode's first occurrence: is it one, does the protocol know it, and where was it?"""
    code = machine.data[position - 1]
    needed = MINIMUM_PROTOCOL[code]
    if needed > machine.newest:
        raise _foreign(code, machine.newest)
    machine.first_positions[code] = position - 1
    machine.handlers[code] = _HANDLERS[code]
    return _HANDLERS[code](machine, position)


def _foreign(code: int, newest: int) -> Malformed:
    needed = MINIMUM_PROTOCOL[code]
    if needed > HIGHEST_PROTOCOL:
        return Malformed("not-an-opcode", f"byte 0x{code:02x} is no opcode")
    if newest < 2:
        return Malformed("protocol", f"{describe(code)} needs protocol {needed}, but no PROTO opens the file")
    return Malformed("protocol", f"{describe(code)} is newer than the declared protocol {newest}")


def _line(machine: Machine, position: int, limit: int = _MAX_LINE) -> tuple[bytes, int]:
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


def _push(value: Any, width: int = 0) -> Handler:
    """Make the handler of an opcode that pushes a value whatever its argument."""

    def handle(machine: Machine, position: int) -> int:
        machine.stack.append(value)
        return position + width

    return handle


def _proto(machine: Machine, position: int) -> int:
    machine.protocol = machine.data[position]
    if position != 1:
        raise Malformed("protocol", "PROTO is not the first opcode")
    if not 2 <= machine.protocol <= HIGHEST_PROTOCOL:
        raise Malformed("protocol", f"PROTO declares {machine.protocol}; it can be 2 to {HIGHEST_PROTOCOL}")
    machine.newest = machine.protocol
    return position + 1


def _frame(machine: Machine, position: int) -> int:
    (length,) = _u64(machine.data, position)
    if machine.frame_end <= machine.size:
        raise Malformed("frame-nested", "FRAME inside a frame")
    if length > machine.size - position - 8:
        raise Malformed("frame-length", f"FRAME declares {length:,} bytes, more than the file has")
    machine.frame_end = position + 8 + length
    return position + 8


def _stop(machine: Machine, position: int) -> int:
    if machine.outer:
        raise Malformed("open-mark", "STOP while a MARK is open")
    if len(machine.stack) != 1:
        raise Malformed("stack-at-stop", f"STOP finds {len(machine.stack)} values on the stack, not 1")
    if position != machine.size:
        raise Malformed("trailing-bytes", f"{machine.size - position:,} bytes follow STOP")
    machine.frame_end = _STOPPED
    return position


# Numbers and texts


def _int(machine: Machine, position: int) -> int:
    end = machine.data.find(b"\n", position, position + 19)
    digits = machine.data[position:end]
    if end > 0 and digits.isdigit() and digits[0] != _ZERO:  # the usual case, at a third of the time
        machine.stack.append(int(digits))
        return end + 1
    digits, end = _line(machine, position, _MAX_DIGITS)
    if digits in (b"00", b"01"):
        machine.stack.append(digits == b"01")
        return end
    machine.stack.append(_decimal(digits))
    return end


def _long(machine: Machine, position: int) -> int:
    digits, end = _line(machine, position, _MAX_DIGITS)
    machine.stack.append(_decimal(digits.removesuffix(b"L")))
    return end


def _decimal(digits: bytes) -> Any:
    if not _DECIMAL.match(digits):
        raise Malformed("number", f"{digits[:40]!r} is no canonical decimal integer")
    return int(digits) if len(digits) < 19 else LARGE_INTEGER


def _float(machine: Machine, position: int) -> int:
    digits, end = _line(machine, position)
    if not _REAL.match(digits):
        raise Malformed("number", f"{digits[:40]!r} is no canonical decimal number")
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
        machine.check_text(position + 1, end)
    return end


def _counted_text(read: Callable[[bytes, int], tuple[int]], width: int) -> Handler:
    skip = _counted(read, width, None)

    def handle(machine: Machine, position: int) -> int:
        end = skip(machine, position)
        machine.stack[-1] = position - 1.0
        machine.check_text(position + width, end)
        return end

    return handle


def _unicode(machine: Machine, position: int) -> int:
    end = machine.data.find(b"\n", position)
    if end < 0:
        raise Malformed("truncated", "the file ends inside the pickle")
    machine.stack.append(position - 1.0)
    machine.check_text(position, end, "raw-unicode-escape")
    return end + 1


def _string(machine: Machine, position: int) -> int:
    end = machine.data.find(b"\n", position)
    quoted = machine.data[position : position + 1], machine.data[end - 1 : end]
    if end < position + 2 or quoted[0] != quoted[1] or quoted[0] not in (b"'", b'"'):
        raise Malformed("quotes", "the argument of STRING is not in quotes")
    # Escapes and the reader's encoding decide what this becomes, so it is never a name.
    machine.stack.append(UNKNOWN)
    return end + 1


# Memo and stack


def _natural(machine: Machine, position: int) -> tuple[int, int]:
    digits, end = _line(machine, position)
    if not _NATURAL.match(digits):
        raise Malformed("number", f"{digits[:40]!r} is no canonical memo index")
    return int(digits), end


def _put(machine: Machine, position: int) -> int:
    index, end = _natural(machine, position)
    machine.put(index)
    return end


def _binput(machine: Machine, position: int) -> int:
    machine.put(machine.data[position])
    return position + 1


def _long_binput(machine: Machine, position: int) -> int:
    machine.put(_u32(machine.data, position)[0])
    return position + 4


def _memoize(machine: Machine, position: int) -> int:
    memo, value = machine.memo, machine.stack[-1]
    if machine.memo_filled != len(memo):
        machine.put(machine.memo_filled)
        return position
    memo.append(machine.own() if type(value) is Shape else value)
    machine.memo_filled += 1
    return position


def _get(machine: Machine, position: int) -> int:
    index, end = _natural(machine, position)
    machine.get(index)
    return end


def _binget(machine: Machine, position: int) -> int:
    machine.get(machine.data[position])
    return position + 1


def _long_binget(machine: Machine, position: int) -> int:
    machine.get(_u32(machine.data, position)[0])
    return position + 4


def _mark(machine: Machine, position: int) -> int:
    machine.push_mark()
    return position


def _pop(machine: Machine, position: int) -> int:
    if machine.stack or not machine.outer:
        machine.stack.pop()
    else:
        machine.pop_mark()
    return position


def _pop_mark(machine: Machine, position: int) -> int:
    machine.pop_mark()
    return position


def _dup(machine: Machine, position: int) -> int:
    value = machine.own()
    if type(value) is Global:
        value.pushed += 1
    machine.stack.append(value)
    return position


# Containers


def _tuple(machine: Machine, position: int) -> int:
    items = machine.pop_mark()
    machine.stack.append(machine.tuple_of(items))
    return position


def _tuple_of(length: int) -> Handler:
    def handle(machine: Machine, position: int) -> int:
        stack = machine.stack
        if len(stack) < length:
            raise Malformed("stack-underflow", f"{machine.opcode} finds too few values")
        items = stack[-length:]
        del stack[-length:]
        stack.append(machine.tuple_of(items))
        return position

    return handle


def _list(machine: Machine, position: int) -> int:
    items = machine.pop_mark()
    machine.stack.append(NEW_LIST)
    if items:
        machine.change(NEW_LIST, items)
    return position


def _dict(machine: Machine, position: int) -> int:
    items = machine.pop_mark()
    machine.stack.append(NEW_DICT)
    machine.set_items(items)
    return position


def _frozenset(machine: Machine, position: int) -> int:
    node = Node(FROZENSET)
    machine.hold(node, machine.pop_mark())
    machine.stack.append(node)
    return position


def _append(machine: Machine, position: int) -> int:
    machine.append(machine.stack.pop())
    return position


def _appends(machine: Machine, position: int) -> int:
    machine.change(NEW_LIST, machine.pop_mark())
    return position


def _additems(machine: Machine, position: int) -> int:
    machine.change(NEW_SET, machine.pop_mark())
    return position


def _setitem(machine: Machine, position: int) -> int:
    value = machine.stack.pop()
    machine.set_items([machine.stack.pop(), value])
    return position


def _setitems(machine: Machine, position: int) -> int:
    machine.set_items(machine.pop_mark())
    return position


# Globals and calls


def _global_names(machine: Machine, position: int) -> tuple[str, str, int]:
    module, middle = _line(machine, position)
    name, end = _line(machine, middle)
    if any(sign in module + name for sign in (b"\\", b"\r")):
        raise Malformed("bad-name", f"the names of {machine.opcode} hold a backslash or carriage return")
    try:
        return module.decode("ascii"), name.decode("ascii"), end
    except UnicodeDecodeError:  # the loader reads UTF-8 here, the disassembler does not
        raise Malformed("bad-name", f"the names of {machine.opcode} are not ASCII") from None


def _global(machine: Machine, position: int) -> int:
    module, name, end = _global_names(machine, position)
    machine.push_global(module, name)
    return end


def _stack_global(machine: Machine, position: int) -> int:
    operands = machine.stack.pop(), machine.stack.pop()
    kinds = {type(operand) for operand in operands}
    if kinds == {float}:
        name, module = map(machine.text, operands)
        if name is None or module is None:
            raise Malformed("bad-name", "STACK_GLOBAL names something over 256 bytes long")
        machine.push_global(module, name)
    elif kinds <= {float, Node, Global} or UNKNOWN in operands:
        machine.push_unresolved("unresolved-global", "STACK_GLOBAL imports a name that the pickle computes")
    else:
        raise Malformed("bad-name", "STACK_GLOBAL names something that is no text")
    return position


def _extension(width: int) -> Handler:
    def handle(machine: Machine, position: int) -> int:
        machine.push_unresolved(
            "extension", "the extension registry of the process decides what this imports"
        )
        return position + width

    return handle


def _persid(machine: Machine, position: int) -> int:
    _, end = _line(machine, position)
    machine.push_unresolved("persistent-id", "the program that loads this decides what a persistent id means")
    return end


def _binpersid(machine: Machine, position: int) -> int:
    machine.stack.pop()
    machine.push_unresolved("persistent-id", "the program that loads this decides what a persistent id means")
    return position


def _buffer(machine: Machine, _position: int) -> int:
    raise Malformed("out-of-band", f"{machine.opcode} asks for a buffer that is not in the file")


def _arguments(machine: Machine, arguments: Any) -> Any:
    """Return the argument tuple of a call; what a call has returned may be one."""
    if type(arguments) is tuple:
        return arguments
    if type(arguments) is Node and (
        arguments.shape is None or arguments.shape is LONG_TUPLE or type(arguments.shape) is tuple
    ):
        return arguments
    if type(arguments) is Node and arguments.origin is not None:
        return arguments
    raise Malformed("not-arguments", f"{machine.opcode} is given arguments that are no tuple")


def _reduce(machine: Machine, position: int) -> int:
    arguments = _arguments(machine, machine.stack.pop())
    machine.call(machine.stack.pop(), arguments)
    return position


def _newobj_ex(machine: Machine, position: int) -> int:
    keywords = machine.stack.pop()
    arguments = _arguments(machine, machine.stack.pop())
    machine.call(machine.stack.pop(), machine.tuple_of([arguments, keywords]))
    return position


def _inst(machine: Machine, position: int) -> int:
    module, name, end = _global_names(machine, position)
    arguments = machine.tuple_of(machine.pop_mark())
    machine.push_global(module, name)
    machine.call(machine.stack.pop(), arguments)
    return end


def _obj(machine: Machine, position: int) -> int:
    items = machine.pop_mark()
    if not items:
        raise Malformed("stack-underflow", "OBJ finds no class")
    machine.call(items[0], machine.tuple_of(items[1:]))
    return position


def _build(machine: Machine, position: int) -> int:
    state = machine.stack.pop()
    machine.build(state)
    return position


_BY_NAME: dict[str, Handler] = {
    "PROTO": _proto,
    "FRAME": _frame,
    "STOP": _stop,
    "INT": _int,
    "LONG": _long,
    "FLOAT": _float,
    "BININT": _binint,
    "BININT1": _binint1,
    "BININT2": _binint2,
    "LONG1": _long1,
    "LONG4": _counted(_i32, 4, LARGE_INTEGER),
    "NONE": _push(None),
    "NEWTRUE": _push(True),
    "NEWFALSE": _push(False),
    "BINFLOAT": _push(FLOAT, 8),
    "STRING": _string,
    "BINSTRING": _counted(_i32, 4, UNKNOWN),
    "SHORT_BINSTRING": _counted(_u8, 1, UNKNOWN),
    "BINBYTES": _counted(_u32, 4, BYTES),
    "SHORT_BINBYTES": _counted(_u8, 1, BYTES),
    "BINBYTES8": _counted(_u64, 8, BYTES),
    "BYTEARRAY8": _counted(_u64, 8, BYTEARRAY),
    "NEXT_BUFFER": _buffer,
    "READONLY_BUFFER": _buffer,
    "UNICODE": _unicode,
    "SHORT_BINUNICODE": _short_binunicode,
    "BINUNICODE": _counted_text(_u32, 4),
    "BINUNICODE8": _counted_text(_u64, 8),
    "EMPTY_LIST": _push(NEW_LIST),
    "APPEND": _append,
    "APPENDS": _appends,
    "LIST": _list,
    "EMPTY_TUPLE": _push(()),
    "TUPLE": _tuple,
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "EMPTY_DICT": _push(NEW_DICT),
    "DICT": _dict,
    "SETITEM": _setitem,
    "SETITEMS": _setitems,
    "EMPTY_SET": _push(NEW_SET),
    "ADDITEMS": _additems,
    "FROZENSET": _frozenset,
    "POP": _pop,
    "DUP": _dup,
    "MARK": _mark,
    "POP_MARK": _pop_mark,
    "GET": _get,
    "BINGET": _binget,
    "LONG_BINGET": _long_binget,
    "PUT": _put,
    "BINPUT": _binput,
    "LONG_BINPUT": _long_binput,
    "MEMOIZE": _memoize,
    "EXT1": _extension(1),
    "EXT2": _extension(2),
    "EXT4": _extension(4),
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "BUILD": _build,
    "INST": _inst,
    "OBJ": _obj,
    "NEWOBJ": _reduce,
    "NEWOBJ_EX": _newobj_ex,
    "PERSID": _persid,
    "BINPERSID": _binpersid,
}
_BY_CODE = {CODE_OF[name]: handler for name, handler in _BY_NAME.items()}
_HANDLERS = tuple(_BY_CODE.get(code, _push(None)) for code in range(256))
