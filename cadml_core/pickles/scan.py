"""The pickle scan: one walk over the bytes that imports nothing, calls nothing and never raises."""

from __future__ import annotations

import struct

from cadml_core.contracts.policies import Finding, GlobalReference, Made, PickleScan
from cadml_core.pickles.grammar import (
    CODE_OF,
    HIGHEST_PROTOCOL,
    MINIMUM_PROTOCOL,
    NAME_OF,
    Malformed,
    ScanLimits,
    describe,
    magic_problem,
)
from cadml_core.pickles.inert import UNKNOWABLE, NotLoadable, record_objects
from cadml_core.pickles.literals import LITERALS
from cadml_core.pickles.machine import Handler, Machine
from cadml_core.pickles.operations import OPERATIONS
from cadml_core.pickles.values import Global

_STOPPED = -1  # as the end of the frame: the walk is over
_u64 = struct.Struct("<Q").unpack_from


def scan_pickle(data: bytes, limits: ScanLimits | None = None) -> PickleScan:
    """Report what a pickle would import, call and change.

    Every structural rule that it breaks ends the walk and is a finding in ``malformed``; the rest of
    the report then covers what came before.

    Args:
        data: The whole file.
        limits: What the pickle may cost; the defaults where None.
    """
    machine = Machine(data, limits or ScanLimits())
    malformed: tuple[Finding, ...] = ()
    if problem := _unreadable(data):
        malformed = (problem,)
    else:
        try:
            _walk(machine)
        except Malformed as error:
            opcode = describe(data[machine.position]) if machine.position < len(data) else "(end of file)"
            malformed = (Finding(error.rule, error.message, opcode, machine.position),)
    objects: tuple[Made, ...] = ()
    if not malformed and UNKNOWABLE.isdisjoint(machine.oddities):
        try:
            objects = record_objects(data, machine.globals.values())
        except NotLoadable as error:
            machine.note("not-loadable", str(error))
    return PickleScan(
        size=len(data),
        protocol=machine.protocol,
        opcode_counts={
            NAME_OF[code]: count for code, count in enumerate(machine.counts) if count and code in NAME_OF
        },
        globals=tuple(map(_reference, machine.globals.values())),
        malformed=malformed,
        calls=tuple(call for call, _ in machine.calls.values()),
        oddities=tuple(machine.oddities.values()),
        opcode_positions={NAME_OF[code]: position for code, position in machine.first_positions.items()},
        objects=objects,
    )


def _unreadable(data: bytes) -> Finding | None:
    if not data:
        return Finding("empty", "the file is empty", "(end of file)", 0)
    if problem := magic_problem(data):
        return Finding("magic", problem, describe(data[0]), 0)
    return None


def _reference(found: Global) -> GlobalReference:
    uses = set(found.uses)
    if found.pushed > found.called:
        uses.add("data")
    return GlobalReference(
        found.module, found.name, found.opcode, found.position, tuple(sorted(uses)), found.raw
    )


def _walk(machine: Machine) -> None:
    """Walk to STOP.

    Raises:
        Malformed: At the first broken rule; the machine's ``position`` is that of its opcode.
    """
    try:
        _step(machine)
    except (IndexError, struct.error) as error:
        if "list" in str(error):  # the machine's stack; running off the file speaks of bytes
            raise Malformed("stack-underflow", f"{machine.opcode} finds too few values") from None
        raise Malformed("truncated", "the file ends inside the pickle") from None
    except MemoryError:
        raise Malformed("memory", "scanning the pickle takes more memory than there is") from None


def _step(machine: Machine) -> None:
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
        return Malformed("not-an-opcode", f"byte 0x{code:02x} is not an opcode")
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
