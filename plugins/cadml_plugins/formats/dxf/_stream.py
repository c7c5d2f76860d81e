"""Reads a large DXF with little memory, one entity at a time.

Everything but the entities (header, tables, blocks) is opened by ezdxf as a small document. Entities of the
common kinds are measured from their tags directly (``_tags``); each other one is loaded by ezdxf as it would
be in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple, Protocol

from ezdxf.entities import factory
from ezdxf.lldxf.extendedtags import ExtendedTags
from ezdxf.lldxf.tagger import tag_compiler
from ezdxf.lldxf.tags import Tags
from ezdxf.lldxf.types import DXFTag

from cadml_plugins.formats.dxf._census import Census
from cadml_plugins.formats.dxf._load import PARSER_FAILURES, Loaded
from cadml_plugins.formats.dxf._tags import Entity, TagMeasures

_MOST_WARNINGS = 50
_COLUMNS = b"ACAD_MTEXT_COLUMN"
"""Mark of a text whose columns are entities of their own, which ezdxf joins in memory."""
_MOST_OBJECT_BYTES = 4 << 20
"""Objects describe images and layouts. A larger section is left out, and images in blocks are not counted."""


class NotStreamable(Exception):
    """The file is not regular enough for a stream; it may still be read in memory."""


class Section(NamedTuple):
    """A section: its name, and where in the file it begins, its content begins, and it ends."""

    name: bytes
    start: int
    content: int
    end: int


def belongs_to_rest(section: Section) -> bool:
    """Tell whether a section is part of the small document, and neither streamed nor left out."""
    if section.name == b"OBJECTS":
        return section.end - section.start <= _MOST_OBJECT_BYTES
    return section.name not in (b"ENTITIES", b"THUMBNAILIMAGE")


class Source(Protocol):
    """A file whose sections are known."""

    sections: list[Section]

    def open_rest(self) -> Loaded:
        """Open everything but the entities as an ezdxf document."""

    def entities(self, section: Section) -> Iterator[Entity]:
        """Yield the entities of a section."""

    def tag(self, code: int, value: Any, encoding: str) -> DXFTag:
        """Return a tag of an entity as ezdxf wants it, from a value as the source has it."""


class StreamedModel:
    """The entities of the ENTITIES section, counted as they pass."""

    def __init__(self, source: Source, loaded: Loaded, census: Census, *, tolerant: bool) -> None:
        self._source = source
        self._document = loaded.document
        self._census = census
        self._encoding = loaded.encoding
        self._tolerant = tolerant
        self._not_interpreted: Counter[str] = Counter()
        self.measures = TagMeasures(census, loaded.encoding, self._load_and_add)

    @property
    def warnings(self) -> list[str]:
        """What could not be interpreted."""
        return [
            f"{number:,} entities of the kind {kind} cannot be interpreted; they are counted, and placed by"
            " the points they state"
            for kind, number in sorted(self._not_interpreted.items())[:_MOST_WARNINGS]
        ]

    def count(self) -> None:
        """Count the entities.

        Raises:
            NotStreamable: There are none, or they cannot be counted one by one.
            MalformedFile, LimitExceeded: As ``Census.add``. Also whatever ezdxf raises on an entity that
                it cannot interpret.
        """
        sections = [section for section in self._source.sections if section.name == b"ENTITIES"]
        if not sections:
            raise NotStreamable("it has no section of entities")
        for entity in chain.from_iterable(map(self._source.entities, sections)):
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
            self._not_interpreted[entity.kind] += 1
            self.measures.add_by_points(entity)
        else:
            self._census.add(whole)

    def _load(self, entity: Entity) -> Any:
        tags = [DXFTag(0, entity.kind)]
        tags += [
            self._source.tag(code, value, self._encoding)
            for code, value in zip(entity.codes, entity.values, strict=True)
        ]
        tags.append(DXFTag(0, "END"))  # the compiler drops a flat point at the very end
        compiled = Tags(tag_compiler(iter(tags)))
        return factory.load(ExtendedTags(Tags(compiled[:-1])), self._document)


def _in_columns(text: Entity) -> bool:
    return any(isinstance(value, bytes) and value.startswith(_COLUMNS) for value in text.values)
