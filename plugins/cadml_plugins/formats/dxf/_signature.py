"""The first bytes of a DXF, and of files mistaken for one. Does not import ezdxf, which takes long."""

from __future__ import annotations

import re

from cadml_core import MalformedFile, UnsupportedContent

HEAD_BYTES = 4096
BINARY_SENTINEL = b"AutoCAD Binary DXF\r\n\x1a\x00"
_NAME_BYTES = 18
"""The readable part of the sentinel. A transfer as text changes the control characters after it."""
_FIRST_TAGS = re.compile(rb"(?:^|[\r\n])[ \t]*0[ \t]*[\r\n]+[ \t]*(?:SECTION|EOF)[ \t]*(?:[\r\n]|$)")
_DWG = re.compile(rb"AC1[.0-9]|AC2\.|MC0\.")
_DWG_HEADER = re.compile(rb"(AC1[.0-9]|AC2\.|MC0\.)[.0-9]*\0")


def begins_as_dxf(head: bytes) -> bool:
    """Tell whether the first bytes are those of a binary or ASCII DXF."""
    if head.startswith(BINARY_SENTINEL):
        return True
    return b"\0" not in head and _FIRST_TAGS.search(head[:HEAD_BYTES]) is not None


def begins_as_dwg(head: bytes) -> bool:
    """Tell whether the first bytes are those of a DWG: its version, and a zero byte that no text has."""
    return _DWG_HEADER.match(head) is not None


def refuse_foreign(head: bytes) -> None:
    """Refuse a file that is not a DXF, and say what it is where that is known.

    Raises:
        MalformedFile: It is neither a DXF nor a DWG.
        UnsupportedContent: It is a DWG.
    """
    if not head:
        raise MalformedFile("the file is empty (0 bytes); it was probably never written", position=0)
    if _DWG.match(head):
        raise UnsupportedContent(
            f"this is a DWG drawing ({head[:6].decode('latin-1')}), not a DXF; save or convert it as DXF",
            found="DWG",
        )
    if head.startswith(BINARY_SENTINEL[:_NAME_BYTES]) and not head.startswith(BINARY_SENTINEL):
        raise MalformedFile(
            "the mark of a binary DXF is damaged, as by a transfer that changes line ends; copy the file"
            " again in binary mode",
            position=_NAME_BYTES,
        )
    if not begins_as_dxf(head):
        raise MalformedFile(
            "not a DXF: neither the mark of a binary DXF nor a line '0' followed by 'SECTION' in its first"
            " 4 KiB",
            position=0,
        )
