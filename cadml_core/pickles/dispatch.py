"""The walk over a pickle: one opcode after the other, to STOP or to the first broken rule."""

from __future__ import annotations

import struct

from cadml_core.pickles.literals import LITERALS
from cadml_core.pickles.machine import Handler, Machine
from cadml_core.pickles.opcodes import CODE_OF, HIGHEST_PROTOCOL, MINIMUM_PROTOCOL, describe
from cadml_core.pickles.operations import OPERATIONS
from cadml_core.pickles.rules import Malformed

_STOPPED = -1  # as the end of the frame: the walk is over
_u64 = struct.Struct("<Q").unpack_from


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


_HANDLERS: dict[int, Handler] = {
    CODE_OF[name]: handler
    for name, handler in {
        "PROTO": _proto,
        "FRAME": _frame,
        "STOP": _stop,
        **LITERALS,
        **OPERATIONS,
    }.items()
}
