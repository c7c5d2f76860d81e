"""An ASCII DXF as a stream: sections are found by their marks, entities are read block by block."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ezdxf.filemanagement import dxf_stream_info, read
from ezdxf.lldxf.types import DXFTag

from cadml_plugins.formats.dxf._load import Loaded, collected_log, describe
from cadml_plugins.formats.dxf._stream import NotStreamable, Section, belongs_to_rest
from cadml_plugins.formats.dxf._tags import Entity, entities

_BLOCK_BYTES = 1 << 20
_OVERLAP_BYTES = 64
"""Kept of a block for the next: longer than any mark, which may lie across the border."""
_MARK = re.compile(rb"\n[ \t]*0[ \t]*\r?\n[ \t]*(SECTION|ENDSEC)[ \t]*\r?(?=\n)")
_SECTION_NAME = re.compile(rb"\s*2[ \t]*\r?\n[ \t]*(\w+)[ \t]*\r?\n")


class AsciiSource:
    """The sections of an open ASCII DXF.

    Raises:
        NotStreamable: A section has no name or no end.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self.sections = _find_sections(file)

    def open_rest(self) -> Loaded:
        """Open everything but the entities as an ezdxf document."""
        parts = []
        for section in filter(belongs_to_rest, self.sections):
            self._file.seek(section.start)
            parts.append(self._file.read(section.end - section.start) + b"  0\nENDSEC\n")
        text = b"".join([*parts, b"  0\nEOF\n"])
        # The header names the encoding, so it is read twice: first in one that accepts any byte.
        info = dxf_stream_info(io.TextIOWrapper(io.BytesIO(text), encoding="cp1252", errors="ignore"))
        with collected_log() as findings:
            stream = io.TextIOWrapper(io.BytesIO(text), encoding=info.encoding, errors="surrogateescape")
            return describe(self._path, read(stream), findings)

    def entities(self, section: Section) -> Iterator[Entity]:
        """Yield the entities of a section."""
        return entities(self._file, section.content, section.end)

    def tag(self, code: int, value: bytes, encoding: str) -> DXFTag:
        """Return a tag of an entity as ezdxf wants it."""
        return DXFTag(code, value.decode(encoding, "surrogateescape"))


def _find_sections(file: BinaryIO) -> list[Section]:
    """Find the sections by their marks, with about a mebibyte of the file in memory."""
    sections: list[Section] = []
    opened: tuple[bytes, int, int] | None = None
    for mark, start, end in _marks(file):
        if (mark == b"SECTION") == (opened is not None):
            raise NotStreamable("the marks of its sections do not alternate")
        if opened is not None:
            sections.append(Section(*opened, start))
            opened = None
            continue
        file.seek(end)
        name = _SECTION_NAME.match(file.read(_OVERLAP_BYTES))
        if name is None:
            raise NotStreamable("a section has no name")
        opened = (name[1].upper(), start, end + name.end())
    if opened is not None:
        raise NotStreamable("the last section has no end")
    return sections


def _marks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield SECTION and ENDSEC, each with the positions where its two lines begin and end."""
    base, tail = -1, b"\n"
    file.seek(0)
    while block := file.read(_BLOCK_BYTES):
        following = file.tell()
        text = tail + block
        found = 0
        if b"SECTION" in text or b"ENDSEC" in text:  # few blocks have either; the pattern is much slower
            for match in _MARK.finditer(text):
                yield match[1], base + match.start() + 1, base + match.end() + 1
                found = match.end()
        keep = max(found, len(text) - _OVERLAP_BYTES)
        base, tail = base + keep, text[keep:]
        file.seek(following)
