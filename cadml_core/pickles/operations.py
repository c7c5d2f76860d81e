"""The opcodes that work on what is there: memo, stack, containers, globals and calls."""

from __future__ import annotations

import re
import struct
from typing import Any

from cadml_core.contracts.policies import Shape
from cadml_core.pickles.grammar import Malformed
from cadml_core.pickles.literals import push, read_line
from cadml_core.pickles.machine import Handler, Machine
from cadml_core.pickles.values import (
    FROZENSET,
    LONG_TUPLE,
    NEW_DICT,
    NEW_LIST,
    NEW_SET,
    UNKNOWN,
    Global,
    Node,
    read_text,
)

_NATURAL = re.compile(rb"(?:0|[1-9][0-9]{0,9})\Z")
_u32 = struct.Struct("<I").unpack_from


# Memo and stack


def _natural(machine: Machine, position: int) -> tuple[int, int]:
    digits, end = read_line(machine, position)
    if not _NATURAL.match(digits):
        raise Malformed("number", f"{digits[:40]!r} is not a canonical memo index")
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
    node, items = Node(FROZENSET), machine.pop_mark()
    for item in items:
        machine.count_key(item)
    machine.hold(node, items)
    machine.stack.append(node)
    return position


def _append(machine: Machine, position: int) -> int:
    machine.append(machine.stack.pop())
    return position


def _appends(machine: Machine, position: int) -> int:
    machine.change(NEW_LIST, machine.pop_mark())
    return position


def _additems(machine: Machine, position: int) -> int:
    items = machine.pop_mark()
    for item in items:
        machine.count_key(item)
    machine.change(NEW_SET, items)
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
    module, middle = read_line(machine, position)
    name, end = read_line(machine, middle)
    if any(sign in module + name for sign in (b"\\", b"\r")):
        raise Malformed("bad-name", f"the names of {machine.opcode} contain a backslash or carriage return")
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
        name, module = (read_text(machine.data, operand) for operand in operands)
        if name is None or module is None:
            raise Malformed("bad-name", "STACK_GLOBAL takes a name over 256 bytes long")
        machine.push_global(module, name)
    elif kinds <= {float, Node, Global} or UNKNOWN in operands:
        machine.push_unresolved("unresolved-global", "STACK_GLOBAL imports a name that the pickle computes")
    else:
        raise Malformed("bad-name", "STACK_GLOBAL takes a name that is not text")
    return position


def _extension(width: int) -> Handler:
    def handle(machine: Machine, position: int) -> int:
        machine.push_unresolved(
            "extension", "the extension registry of the process decides what this imports"
        )
        return position + width

    return handle


def _persid(machine: Machine, position: int) -> int:
    name, end = read_line(machine, position)
    if not name.isascii():
        raise Malformed("bad-name", "the argument of PERSID is not ASCII")
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
    raise Malformed("not-arguments", f"{machine.opcode} is given arguments that are not a tuple")


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


OPERATIONS: dict[str, Handler] = {
    "NEXT_BUFFER": _buffer,
    "READONLY_BUFFER": _buffer,
    "EMPTY_LIST": push(NEW_LIST),
    "APPEND": _append,
    "APPENDS": _appends,
    "LIST": _list,
    "EMPTY_TUPLE": push(()),
    "TUPLE": _tuple,
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "EMPTY_DICT": push(NEW_DICT),
    "DICT": _dict,
    "SETITEM": _setitem,
    "SETITEMS": _setitems,
    "EMPTY_SET": push(NEW_SET),
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
