"""Tell a pickle from everything else by its first bytes."""

from __future__ import annotations

from cadml_core.models.opcodes import HIGHEST_PROTOCOL

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
    (b"\x93NUMPY", "a .npy array (save the model with pickle.dump)"),
    (b"\x89HDF", "HDF5"),
    (b"\x89PNG", "a PNG image"),
    (b"GIF8", "a GIF image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"%PDF", "a PDF document"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "an ELF program"),
)
_ZLIB_HEADERS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
# What can open a pickle without PROTO: opcodes of protocol 0 and 1 that push something.
_OPENERS = frozenset(b"(])}NIJKLMSTUVXFGc")


def magic_problem(data: bytes) -> str | None:
    """Return what the content is instead of a pickle, None where it begins like one.

    An empty file is no matter of magic; the scan refuses it.
    """
    if not data:
        return None
    for signature, name in CONTAINERS:
        if data.startswith(signature):
            return f"it begins like {name}; unpack or convert it, and save the model with pickle.dump"
    if data[:2] in _ZLIB_HEADERS:
        return "it begins like zlib data; save the model with pickle.dump, without compression"
    if data[257:262] == b"ustar":
        return "it begins like a tar archive; unpack it"
    if data[0] == 0x80:
        return None
    if data[0] not in _OPENERS:
        return f"its first byte is 0x{data[0]:02x}; a pickle begins with 0x80 and 2 to {HIGHEST_PROTOCOL}"
    return None
