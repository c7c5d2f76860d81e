"""The pickle scan: one walk over the bytes that imports nothing, calls nothing and never raises."""

from __future__ import annotations

from cadml_core.contracts.policies import Finding, GlobalReference, PickleScan
from cadml_core.pickles.dispatch import run
from cadml_core.pickles.machine import Machine, opcode_names
from cadml_core.pickles.magic import magic_problem
from cadml_core.pickles.opcodes import NAME_OF, describe
from cadml_core.pickles.rules import Malformed, ScanLimits
from cadml_core.pickles.values import Global


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
            run(machine)
        except Malformed as error:
            opcode = describe(data[machine.position]) if machine.position < len(data) else "(end of file)"
            malformed = (Finding(error.rule, error.message, opcode, machine.position),)
    return PickleScan(
        size=len(data),
        protocol=machine.protocol,
        opcode_counts=opcode_names(machine.counts),
        globals=tuple(map(_reference, machine.globals.values())),
        malformed=malformed,
        calls=tuple(call for call, _ in machine.calls.values()),
        oddities=tuple(machine.oddities.values()),
        opcode_positions={NAME_OF[code]: position for code, position in machine.first_positions.items()},
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
