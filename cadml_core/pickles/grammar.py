"""How pickle files are written: opcodes, protocols and first bytes; and what ends a scan of one."""

from __future__ import annotations

import pickletools
import re

import msgspec

HIGHEST_PROTOCOL = 5

CODE_OF = {opcode.name: ord(opcode.code) for opcode in pickletools.opcodes}
NAME_OF = {code: name for name, code in CODE_OF.items()}
PROTOCOL_OF = {opcode.name: opcode.proto for opcode in pickletools.opcodes}

MINIMUM_PROTOCOL = tuple(PROTOCOL_OF.get(NAME_OF.get(code, ""), HIGHEST_PROTOCOL + 1) for code in range(256))
"""For each byte the first protocol that knows it as an opcode; one above the highest where none does."""


def describe(code: int) -> str:
    """Return the opcode's name, or the byte in hexadecimal where it is none."""
    return NAME_OF.get(code, f"0x{code:02x}")


class ScanLimits(msgspec.Struct, frozen=True):
    """What the scan of one pickle may cost; at the first bound it crosses, a pickle is malformed."""

    max_opcodes: int = 2_000_000
    max_depth: int = 200
    """How deeply containers and objects may nest."""
    max_marks: int = 10_000
    """How many MARKs may be open at once."""
    max_weight: int = 100_000_000
    """How many values a walk through everything would meet, shared ones counted every time."""
    max_globals: int = 10_000
    max_calls: int = 100_000
    """How many different calls."""
    max_keys: int = 100_000
    """How many values the keys of dicts and members of sets hold that are neither text nor small numbers:
    files can choose such keys so that all have one hash."""


class Malformed(Exception):
    """Ends the walk: the pickle breaks a structural rule."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule
        self.message = message


# Other loaders unpack these; what they would find inside was never scanned.
CONTAINERS = (
    (b"PK\x03\x04", "a zip archive (torch.save and numpy.savez write those)"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"]\x00\x00", "lzma"),
    (b"\x28\xb5\x2f\xfd", "zstandard"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"ZF0x", "an old joblib container"),
    (b"7z\xbc\xaf\x27\x1c", "7-zip"),
    (b"Rar!", "rar"),
    (b"\x93NUMPY", "a .npy array"),
    (b"\x89HDF", "HDF5"),
    (b"\x89PNG", "a PNG image"),
    (b"GIF8", "a GIF image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"%PDF", "a PDF document"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "an ELF program"),
)
_ZLIB_HEADERS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
# Without PROTO nothing marks a pickle, so its first opcode must be whole and the next one likely.
_ATOM = re.compile(
    rb"""
      I -?[0-9]{1,20}\n | L -?[0-9]{1,4000}L?\n | F [-+.0-9einfa]{1,40}\n
    | S (?:'[^\n]*'|"[^\n]*")\n | V [^\n]*\n
    | K . | M .. | J .{4} | G .{8} | N
    | X (?P<length4>.{4}) | [TU] (?P<length1>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_AFTER_ATOM = frozenset(b"pqr.")
_START = re.compile(rb"c [\w.]{1,256}\n [\w.]{1,256}\n | [](})]", re.VERBOSE)
_PUSHES = b"(cIJKLMNSTUVXFG])}"
_AFTER_START = frozenset(_PUSHES + b"pqr.")
_AFTER_MARK = frozenset(_PUSHES + b"dlt")


def magic_problem(data: bytes) -> str | None:
    """Return what the content is instead of a pickle, None where it begins like one.

    An empty file passes; the scan itself refuses it.
    """
    if not data:
        return None
    for signature, name in CONTAINERS:
        if data.startswith(signature):
            return f"it begins like {name}; save it with pickle.dump, uncompressed"
    if data[:2] in _ZLIB_HEADERS:
        return "it begins like zlib data; save it with pickle.dump, uncompressed"
    if data[257:262] == b"ustar":
        return "it begins like a tar archive; unpack it"
    if data[0] == 0x80 or _opens_without_proto(data):
        return None
    return f"it does not begin like a pickle: with 0x80 and 2 to {HIGHEST_PROTOCOL}"


def _opens_without_proto(data: bytes) -> bool:
    """Tell whether this may be a pickle of protocol 0 or 1."""
    if start := _START.match(data):
        likely = _AFTER_MARK if data[0] == 0x28 else _AFTER_START
        return start.end() < len(data) and data[start.end()] in likely
    atom = _ATOM.match(data)
    if atom is None:
        return False
    end = atom.end() + int.from_bytes(atom["length4"] or atom["length1"] or b"", "little")
    return end < len(data) and data[end] in _AFTER_ATOM
