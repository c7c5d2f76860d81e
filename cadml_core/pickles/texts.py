"""The texts of a pickle, read from the file only where they matter."""

from __future__ import annotations

import codecs

from cadml_core.pickles.opcodes import CODE_OF, describe
from cadml_core.pickles.rules import Malformed

_MAX_TEXT = 256  # bytes; no name of a global is longer
_CHUNK = 1 << 20
_SHORT_BINUNICODE, _BINUNICODE, _UNICODE = (
    CODE_OF[name] for name in ("SHORT_BINUNICODE", "BINUNICODE", "UNICODE")
)


def read_text(data: bytes, reference: float) -> str | None:
    """Return the text whose opcode is at this position; None where it is long."""
    start = int(reference)
    code = data[start]
    if code == _SHORT_BINUNICODE:
        begin, end = start + 2, start + 2 + data[start + 1]
    elif code == _UNICODE:
        begin, end = start + 1, data.index(b"\n", start)
    else:
        width = 4 if code == _BINUNICODE else 8
        begin = start + 1 + width
        end = begin + int.from_bytes(data[start + 1 : begin], "little")
    if end - begin > _MAX_TEXT:
        return None
    return data[begin:end].decode("raw-unicode-escape" if code == _UNICODE else "utf-8", "surrogatepass")


def check_text(data: bytes, start: int, begin: int, end: int, encoding: str = "utf-8") -> None:
    """Refuse a text that cannot be decoded, without ever holding a long one as a whole.

    Args:
        data: The file.
        start: Position of the opcode.
        begin: Where the text begins.
        end: Where it ends.
        encoding: How it is written.

    Raises:
        Malformed: It cannot be decoded.
    """
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    view = memoryview(data)
    try:
        for chunk in range(begin, end, _CHUNK):
            decoder.decode(view[chunk : min(chunk + _CHUNK, end)])
        decoder.decode(b"", True)
    except UnicodeDecodeError:
        raise Malformed("bad-text", f"the text of {describe(data[start])} cannot be decoded") from None
