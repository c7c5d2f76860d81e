"""What the pickle scan reports and what a policy answers: the two sides of an opcode policy."""

from __future__ import annotations

from typing import Literal

import msgspec

GlobalUse = Literal["data", "REDUCE", "NEWOBJ", "BUILD", "INST", "OBJ"]
"""How a pickle uses a global: as plain data, or as the callee of an opcode."""


class GlobalReference(msgspec.Struct, frozen=True):
    """One place where a pickle names a global.

    ``module`` and ``name`` are as in the file; where they could not be resolved statically
    both are None.
    """

    module: str | None
    name: str | None
    opcode: str
    position: int
    uses: tuple[str, ...] = ()


class Finding(msgspec.Struct, frozen=True):
    """One thing to object to, with the byte position of the opcode that shows it."""

    rule: str
    message: str
    opcode: str
    position: int
    global_name: str | None = None
    """``module:name`` where the finding is about a global."""


class PickleScan(msgspec.Struct, frozen=True):
    """What one walk over a pickle saw. ``malformed`` findings refuse in every mode."""

    size: int
    protocol: int
    opcode_counts: dict[str, int]
    globals: tuple[GlobalReference, ...]
    malformed: tuple[Finding, ...] = ()


class Verdict(msgspec.Struct, frozen=True):
    """A policy's answer."""

    policy: str
    allowed: bool
    findings: tuple[Finding, ...] = ()
