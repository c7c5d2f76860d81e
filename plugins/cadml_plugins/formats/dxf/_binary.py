"""A binary DXF as a stream: sections are found by their marks, entities are read tag by tag."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ezdxf.document import Drawing
from ezdxf.lldxf.tagger import binary_tags_loader
from ezdxf.lldxf.types import BINARY_DATA, BYTES, DOUBLE, INT16, INT32, INT64, DXFBinaryTag, DXFTag

from cadml_plugins.formats.dxf._load import Loaded, collected_log, describe
from cadml_plugins.formats.dxf._signature import BINARY_SENTINEL
from cadml_plugins.formats.dxf._stream import NotStreamable, Section, belongs_to_rest
from cadml_plugins.formats.dxf._tags import Entity

_EXTENDED = 255
"""Up to R12 this byte announces a group code of two bytes."""
_FORMATS = {
    code: struct.Struct(layout)
    for codes, layout in ((INT16, "<h"), (INT32, "<i"), (INT64, "<q"), (DOUBLE, "<d"), (BYTES, "<B"))
    for code in codes
}


class BinarySource:
    """The sections of an open binary DXF.

    Up to R12 a group code takes one byte, or three from 255 on; later, two.

    Raises:
        NotStreamable: A section has no name or no end.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        file.seek(0)
        self._data = file.read()
        start = len(BINARY_SENTINEL)
        # The first tag is 0 SECTION: two zero bytes are a wide code, one is followed by the letter S.
        self._wide = self._data[start : start + 2] == bytes(2)
        self.sections = self._find_sections(start)

    def _code(self, code: int) -> bytes:
        return code.to_bytes(2 if self._wide else 1, "little")

    def _find_sections(self, position: int) -> list[Section]:
        opening = self._code(0) + b"SECTION\0" + self._code(2)
        closing = self._code(0) + b"ENDSEC\0"
        sections = []
        while (start := self._data.find(opening, position)) >= 0:
            name_start = start + len(opening)
            name_end = self._data.find(b"\0", name_start)
            end = self._data.find(closing, name_end)
            if name_end < 0 or end < 0:
                raise NotStreamable("a section has no name or no end")
            name = self._data[name_start:name_end].strip().upper()
            sections.append(Section(name, start, name_end + 1, end))
            position = end + len(closing)
        return sections

    def open_rest(self) -> Loaded:
        """Open everything but the entities as an ezdxf document."""
        closing = self._code(0) + b"ENDSEC\0"
        parts = [self._data[s.start : s.end] + closing for s in self.sections if belongs_to_rest(s)]
        data = b"".join([BINARY_SENTINEL, *parts, self._code(0) + b"EOF\0"])
        with collected_log() as findings:
            return describe(self._path, Drawing.load(binary_tags_loader(data)), findings)

    def entities(self, section: Section) -> Iterator[Entity]:
        """Yield the entities of a section. Texts and binary chunks are bytes, numbers are numbers."""
        kind: bytes | None = None
        codes: list[int] = []
        values: list[Any] = []
        for code, value in self._tags(section.content, section.end):
            if code != 0:
                codes.append(code)
                values.append(value)
                continue
            if kind is not None:
                yield Entity(kind.decode("ascii", "replace"), codes, values)
            kind, codes, values = value.strip(), [], []
        if kind is not None:
            yield Entity(kind.decode("ascii", "replace"), codes, values)

    def _tags(self, position: int, end: int) -> Iterator[tuple[int, Any]]:
        data, wide = self._data, self._wide
        while position < end:
            code = data[position]
            if wide:
                code |= data[position + 1] << 8
                position += 2
            elif code == _EXTENDED:
                code = data[position + 1] | data[position + 2] << 8
                position += 3
            else:
                position += 1
            if layout := _FORMATS.get(code):
                yield code, layout.unpack_from(data, position)[0]
                position += layout.size
            elif code in BINARY_DATA:
                following = position + 1 + data[position]
                yield code, data[position + 1 : following]
                position = following
            else:
                following = data.index(b"\0", position)
                yield code, data[position:following]
                position = following + 1

    def tag(self, code: int, value: Any, encoding: str) -> DXFTag:
        """Return a tag of an entity as ezdxf wants it."""
        if code in BINARY_DATA:
            return DXFBinaryTag(code, value)
        return DXFTag(code, value.decode(encoding, "surrogateescape") if isinstance(value, bytes) else value)
