"""The opcodes of the pickle machine: their names, bytes and protocols, as the standard library lists them."""

from __future__ import annotations

import pickletools

HIGHEST_PROTOCOL = 5

CODE_OF = {opcode.name: ord(opcode.code) for opcode in pickletools.opcodes}
NAME_OF = {code: name for name, code in CODE_OF.items()}
PROTOCOL_OF = {opcode.name: opcode.proto for opcode in pickletools.opcodes}

MINIMUM_PROTOCOL = tuple(PROTOCOL_OF.get(NAME_OF.get(code, ""), HIGHEST_PROTOCOL + 1) for code in range(256))
"""For each byte the first protocol that knows it as an opcode; one above the highest where none does."""


def describe(code: int) -> str:
    """Return the opcode's name, or the byte in hexadecimal where it is none."""
    return NAME_OF.get(code, f"0x{code:02x}")
