"""Write pickles opcode by opcode, so that a test can say exactly what the bytes are."""

from __future__ import annotations

import struct

from cadml_core.pickles.grammar import CODE_OF


def op(name: str, argument: bytes = b"") -> bytes:
    """Return one opcode with its argument as it is."""
    return bytes([CODE_OF[name]]) + argument


def proto(version: int) -> bytes:
    """Return PROTO."""
    return op("PROTO", bytes([version]))


def text(value: str) -> bytes:
    """Return a text for protocol 4 and later."""
    data = value.encode("utf-8", "surrogatepass")
    return op("SHORT_BINUNICODE", bytes([len(data)]) + data)


def text1(value: str) -> bytes:
    """Return a text for protocol 1 and later."""
    data = value.encode()
    return op("BINUNICODE", struct.pack("<I", len(data)) + data)


def text8(value: str) -> bytes:
    """Return a text with a length of eight bytes."""
    data = value.encode()
    return op("BINUNICODE8", struct.pack("<Q", len(data)) + data)


def text0(value: str) -> bytes:
    """Return a text for protocol 0."""
    return op("UNICODE", value.encode("raw-unicode-escape") + b"\n")


def number(value: int) -> bytes:
    """Return an integer of one byte."""
    return op("BININT1", bytes([value]))


def global_(module: str, name: str) -> bytes:
    """Return GLOBAL."""
    return op("GLOBAL", f"{module}\n{name}\n".encode())


def inst(module: str, name: str) -> bytes:
    """Return INST."""
    return op("INST", f"{module}\n{name}\n".encode())


def stack_global(module: str, name: str) -> bytes:
    """Return both names and STACK_GLOBAL."""
    return text(module) + text(name) + op("STACK_GLOBAL")


def frame(content: bytes, length: int | None = None) -> bytes:
    """Return FRAME before the content, declaring its length or another one."""
    return op("FRAME", struct.pack("<Q", len(content) if length is None else length)) + content


MARK = op("MARK")
STOP = op("STOP")
REDUCE = op("REDUCE")
BUILD = op("BUILD")
EMPTY_TUPLE = op("EMPTY_TUPLE")
EMPTY_DICT = op("EMPTY_DICT")
EMPTY_LIST = op("EMPTY_LIST")
TUPLE1 = op("TUPLE1")
POP = op("POP")
NONE = op("NONE")
