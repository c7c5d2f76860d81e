"""Reading of a large ASCII DXF with little memory: its entities pass by one at a time.

Everything but the ENTITIES and OBJECTS sections (header, tables, blocks) is opened by ezdxf as a
small document of its own. Of the entities, the common kinds are measured from their tags directly
(``_dxf_tags``); every other goes through ezdxf as it would in memory.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ezdxf.entities import factory
from ezdxf.filemanagement import dxf_stream_info, read
from ezdxf.lldxf.extendedtags import ExtendedTags
from ezdxf.lldxf.tagger import tag_compiler
from ezdxf.lldxf.tags import Tags
from ezdxf.lldxf.types import DXFTag

from cadml_plugins.formats._dxf_census import Census
from cadml_plugins.formats._dxf_load import PARSER_FAILURES, Loaded, collected_log, describe
from cadml_plugins.formats._dxf_tags import Entity, TagMeasures, entities

_BLOCK_BYTES = 1 << 20
_OVERLAP_BYTES = 64
_MOST_WARNINGS = 50
_LEFT_OUT = frozenset({b"ENTITIES", b"THUMBNAILIMAGE"})
_MOST_OBJECT_BYTES = 4 << 20
"""Objects describe images and layouts; where there are more, images in blocks are not counted."""
_MARK = re.compile(rb"\n[ \t]*0[ \t]*\r?\n[ \t]*(SECTION|ENDSEC)[ \t]*\r?(?=\n)")
_SECTION_NAME = re.compile(rb"\s*2[ \t]*\r?\n[ \t]*(\w+)[ \t]*\r?\n")


class NotStreamable(Exception):
    """The file is not as regular as a stream needs it; it may still be read in memory."""


class Section(NamedTuple):
    """A section: its name, and where it begins, its entities begin, and it ends in the file."""

    name: bytes
    start: int
    content: int
    end: int


def find_sections(file: BinaryIO) -> list[Section]:
    """Find the sections by their marks, holding no more than a mebibyte of the file.

    Raises:
        NotStreamable: A section has no name or no end.
    """
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
    if not any(section.name == b"ENTITIES" for section in sections):
        raise NotStreamable("it has no section of entities")
    return sections


def _marks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield SECTION and ENDSEC with the places where their two lines begin and end."""
    base, tail = -1, b"\n"
    file.seek(0)
    while block := file.read(_BLOCK_BYTES):
        following = file.tell()
        text = tail + block
        found = 0
        if b"SECTION" in text or b"ENDSEC" in text:
            for match in _MARK.finditer(text):
                yield match[1], base + match.start() + 1, base + match.end() + 1
                found = match.end()
        keep = max(found, len(text) - _OVERLAP_BYTES)
        base, tail = base + keep, text[keep:]
        file.seek(following)


def open_rest(path: Path, file: BinaryIO, sections: list[Section]) -> Loaded:
    """Open everything but the entities and objects as an ezdxf document."""
    parts = []
    for section in sections:
        size = section.end - section.start
        if section.name not in _LEFT_OUT and (section.name != b"OBJECTS" or size <= _MOST_OBJECT_BYTES):
            file.seek(section.start)
            parts.append(file.read(size) + b"  0\nENDSEC\n")
    text = b"".join([*parts, b"  0\nEOF\n"])
    info = dxf_stream_info(io.TextIOWrapper(io.BytesIO(text), encoding="cp1252", errors="ignore"))
    with collected_log() as findings:
        stream = io.TextIOWrapper(io.BytesIO(text), encoding=info.encoding, errors="surrogateescape")
        return describe(path, read(stream), findings)


class StreamedModel:
    """The entities of the ENTITIES section, counted as they pass."""

    def __init__(self, loaded: Loaded, census: Census, *, tolerant: bool) -> None:
        self._document = loaded.document
        self._census = census
        self._encoding = loaded.encoding
        self._tolerant = tolerant
        self._passed_over: Counter[str] = Counter()
        self.measures = TagMeasures(census, loaded.encoding, self._load_and_add)

    @property
    def warnings(self) -> list[str]:
        """What was passed over."""
        return [
            f"{number:,} entities of the kind {kind} cannot be understood and were passed over"
            for kind, number in sorted(self._passed_over.items())[:_MOST_WARNINGS]
        ]

    def count(self, file: BinaryIO, section: Section) -> None:
        """Count the entities of the section.

        Raises:
            MalformedFile, LimitExceeded: As ``Census.add``; and whatever ezdxf raises on an entity
                that cannot be understood.
        """
        for entity in entities(file, section.content, section.end):
            if entity.kind == "MTEXT" and _in_columns(entity):
                raise NotStreamable("a text is spread over several entities")
            self.measures.add(entity)
        self.measures.finish()

    def _load_and_add(self, entity: Entity, vertices: list[Entity]) -> None:
        try:
            whole = self._load(entity)
            for vertex in vertices:
                whole.link_entity(self._load(vertex))
        except PARSER_FAILURES:
            if not self._tolerant:
                raise
            self._passed_over[entity.kind] += 1
        else:
            self._census.add(whole)

    def _load(self, entity: Entity) -> Any:
        tags = [DXFTag(0, entity.kind)]
        tags += [
            DXFTag(code, value.decode(self._encoding, "surrogateescape"))
            for code, value in zip(entity.codes, entity.values, strict=True)
        ]
        tags.append(DXFTag(0, "END"))  # the compiler drops a flat point that nothing follows
        compiled = Tags(tag_compiler(iter(tags)))
        return factory.load(ExtendedTags(Tags(compiled[:-1])), self._document)


def _in_columns(text: Entity) -> bool:
    return any(value.startswith(b"ACAD_MTEXT_COLUMN") for value in text.values)
