"""Entities as lists of tags, read from an ASCII DXF, and the measures of the most common kinds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

from cadml_plugins.formats.dxf._census import Census
from cadml_plugins.formats.dxf._kinds import BOUNDED, grid_facets
from cadml_plugins.formats.dxf._outlines import SPLINE_FRAME_POINT, arc_box, bulged_box

_BLOCK_BYTES = 1 << 18
_MOST_TEXTS = 2000
"""Texts that are kept to recognise the encoding."""
_PARTS = frozenset({"VERTEX", "ATTRIB", "SEQEND"})
"""Entities that belong to the one before them."""

Tags = dict[int, Any]
Box = Sequence[float]
"""Two opposite corners, six numbers; empty for an entity without a place."""


class Entity(NamedTuple):
    """The tags of an entity after its type: group codes, and values as the file has them.

    In an ASCII file all values are bytes, in a binary one numbers or bytes.
    """

    kind: str
    codes: list[int]
    values: list[Any]


class _Codes(dict[bytes, int]):
    """Group codes by the text that states them: a lookup is faster than a conversion."""

    def __missing__(self, text: bytes) -> int:
        code = int(text)
        if len(self) < 10_000:  # a damaged file may have any number of spellings
            self[text] = code
        return code


def entities(file: BinaryIO, start: int, end: int) -> Iterator[Entity]:
    """Yield the entities between two places of a file.

    Raises:
        ValueError: A group code is not a number, or the last tag has no value.
    """
    cache = _Codes()
    codes: list[int] = []
    values: list[bytes] = []
    for lines in _lines(file, start, end):
        codes += [cache[line] for line in lines[::2]]
        values += lines[1::2]
        first = 0
        while True:
            try:
                following = codes.index(0, first + 1)
            except ValueError:
                break
            yield _entity(codes, values, first, following)
            first = following
        del codes[:first], values[:first]
    if codes:
        yield _entity(codes, values, 0, len(codes))


def _entity(codes: list[int], values: list[bytes], first: int, following: int) -> Entity:
    if codes[first] != 0:
        raise ValueError(f"the section begins with the group code {codes[first]} instead of 0")
    kind = values[first].strip().decode("ascii", "replace")
    return Entity(kind, codes[first + 1 : following], values[first + 1 : following])


def _lines(file: BinaryIO, start: int, end: int) -> Iterator[list[bytes]]:
    """Yield an even number of lines at a time."""
    file.seek(start)
    left, rest = end - start, b""
    while left > 0 and (block := file.read(min(_BLOCK_BYTES, left))):
        left -= len(block)
        text = (rest + block).replace(b"\r\n", b"\n")
        lines = text.split(b"\n")
        # Tags are pairs of lines, and the last line may be incomplete: an even number of whole lines goes on.
        keep = 1 if len(lines) % 2 else 2
        rest = b"\n".join(lines[-keep:])
        del lines[-keep:]
        if lines:
            yield lines
    if rest.strip():
        raise ValueError("the last tag of the section has no value")


class TagMeasures:
    """Counts entities of the common kinds in a census, from their tags alone.

    Unusual ones go to ``load_and_add``, which takes the tags of an entity and of its vertices and counts it
    in another way.
    """

    def __init__(
        self, census: Census, encoding: str, load_and_add: Callable[[Entity, list[Entity]], None]
    ) -> None:
        self._census = census
        self._encoding = encoding
        self._load_and_add = load_and_add
        self._polyline: Entity | None = None
        self._vertices: list[Entity] = []
        self._on_paper = False
        self.paper_entities = 0
        self.texts: list[str] = []

    def add(self, entity: Entity) -> None:
        """Count an entity of the model; entities of the sheets are counted separately."""
        if entity.kind not in _PARTS:
            self.finish()
            self._on_paper = _on_paper(entity)
            if self._on_paper:
                self.paper_entities += entity.kind != "VIEWPORT"
        if self._on_paper:
            return
        if entity.kind == "POLYLINE":
            self._polyline = entity
        elif entity.kind == "VERTEX":
            self._vertices.append(entity)
        elif entity.kind != "SEQEND":
            self._measure(entity, [])

    def finish(self) -> None:
        """Count the pending polyline, of which all vertices are known now."""
        if self._polyline is not None:
            self._measure(self._polyline, self._vertices)
        self._polyline = None
        self._vertices = []

    def add_by_points(self, entity: Entity) -> None:
        """Count an entity that cannot be interpreted, and bound it by its points (codes 10 and 20)."""
        self._census.count(entity.kind)
        xs, ys = (
            [value for c, value in zip(entity.codes, entity.values, strict=True) if c == code]
            for code in (10, 20)
        )
        try:
            corners = [(float(x), float(y), 0.0) for x, y in zip(xs, ys, strict=True)]
        except ValueError:
            return
        if corners and entity.kind in BOUNDED and math.isfinite(sum(map(sum, corners))):
            self._census.add_box(_around(corners))

    def _measure(self, entity: Entity, vertices: list[Entity]) -> None:
        tags = _tags(entity)
        try:
            box, facets = _MEASURES[entity.kind](tags, entity, vertices)
        except (KeyError, ValueError, ArithmeticError):  # another kind, a missing or an unusual tag
            self._load_and_add(entity, vertices)
            return
        if not math.isfinite(sum(box)):  # loaded, it is refused with its handle
            self._load_and_add(entity, vertices)
            return
        self._census.count(entity.kind)
        self._census.layers.add(tags.get(8, b"0").decode(self._encoding, "surrogateescape"))
        self._census.add_facets(facets)
        if entity.kind in _ANNOTATIONS:
            self._census.add_anchor(box)
            self._sample(tags)
        elif box:
            self._census.add_box(box)

    def _sample(self, tags: Tags) -> None:
        if len(self.texts) < _MOST_TEXTS:
            self.texts.append(tags.get(1, b"").decode(self._encoding, "surrogateescape"))


def _on_paper(entity: Entity) -> bool:
    return 67 in entity.codes and int(entity.values[entity.codes.index(67)]) != 0


def _tags(entity: Entity) -> Tags:
    """Return the first value of each group code; later ones belong to objects embedded in the entity."""
    return dict(zip(reversed(entity.codes), reversed(entity.values), strict=True))


def _flat(tags: Tags) -> None:
    """Refuse an entity in a plane of its own, so that it is loaded and transformed instead.

    Raises:
        ValueError: The extrusion is not the z axis.
    """
    if 210 in tags and (float(tags[210]), float(tags[220]), float(tags.get(230, 1))) != (0.0, 0.0, 1.0):
        raise ValueError("tilted")


def _corner(tags: Tags, code: int) -> tuple[float, float, float]:
    return float(tags[code]), float(tags[code + 10]), float(tags.get(code + 20, 0.0))


def _line(tags: Tags, _entity: Entity, _vertices: list[Entity]) -> tuple[Box, int]:
    return (*_corner(tags, 10), *_corner(tags, 11)), 0


def _point(tags: Tags, _entity: Entity, _vertices: list[Entity]) -> tuple[Box, int]:
    return _corner(tags, 10) * 2, 0


def _circle(tags: Tags, _entity: Entity, _vertices: list[Entity]) -> tuple[Box, int]:
    _flat(tags)
    (x, y, z), radius = _corner(tags, 10), abs(float(tags[40]))
    return (x - radius, y - radius, z, x + radius, y + radius, z), 0


def _arc(tags: Tags, _entity: Entity, _vertices: list[Entity]) -> tuple[Box, int]:
    _flat(tags)
    start, end = math.radians(float(tags[50])), math.radians(float(tags[51]))
    return arc_box(_corner(tags, 10), abs(float(tags[40])), start, end), 0


def _face(tags: Tags, _entity: Entity, _vertices: list[Entity]) -> tuple[Box, int]:
    corners = [_corner(tags, code) for code in (10, 11, 12, 13) if code in tags]
    return _around(corners), 1


def _around(corners: list[tuple[float, float, float]]) -> Box:
    xs, ys, zs = zip(*corners, strict=True)
    return min(xs), min(ys), min(zs), max(xs), max(ys), max(zs)


def _lwpolyline(tags: Tags, entity: Entity, _vertices: list[Entity]) -> tuple[Box, int]:
    _flat(tags)
    vertices: list[list[float]] = []
    for code, value in zip(entity.codes, entity.values, strict=True):
        if code == 10:
            vertices.append([float(value), math.nan, 0.0])
        elif code == 20:
            vertices[-1][1] = float(value)
        elif code == 42:
            vertices[-1][2] = float(value)
    closed = bool(int(tags.get(70, 0)) & 1)
    return bulged_box([(x, y, b) for x, y, b in vertices], closed, float(tags.get(38, 0.0))), 0


def _polyline(tags: Tags, _entity: Entity, vertices: list[Entity]) -> tuple[Box, int]:
    flags = int(tags.get(70, 0))
    corners, bulges, faces = [], [], 0
    for vertex in map(_tags, vertices):
        kind = int(vertex.get(70, 0))
        if kind & _FACE_RECORD and not kind & _MESH_VERTEX:
            faces += 1
        elif not kind & SPLINE_FRAME_POINT and 10 in vertex:
            corners.append(_corner(vertex, 10))
            bulges.append(float(vertex.get(42, 0.0)))
    if flags & (_SPATIAL | _GRID | _POLYFACE):
        facets = faces if flags & _POLYFACE else _grid(tags, flags, len(vertices)) if flags & _GRID else 0
        return _around(corners) if corners else (), facets
    _flat(tags)
    flat = [(x, y, bulge) for (x, y, _), bulge in zip(corners, bulges, strict=True)]
    return bulged_box(flat, bool(flags & _CLOSED), float(tags.get(30, 0.0))), 0


def _grid(tags: Tags, flags: int, vertices: int) -> int:
    closed, closed_across = bool(flags & _CLOSED), bool(flags & _CLOSED_ACROSS)
    return grid_facets(int(tags.get(71, 0)), int(tags.get(72, 0)), closed, closed_across, vertices)


def _anchor(tags: Tags, _entity: Entity, _vertices: list[Entity]) -> tuple[Box, int]:
    return _corner(tags, 10) * 2, 0


_CLOSED, _SPATIAL, _GRID, _CLOSED_ACROSS, _POLYFACE = 1, 8, 16, 32, 64
_MESH_VERTEX, _FACE_RECORD = 64, 128
_ANNOTATIONS = frozenset({"TEXT", "MTEXT", "ATTRIB"})
_MEASURES: dict[str, Callable[[Tags, Entity, list[Entity]], tuple[Box, int]]] = {
    "LINE": _line,
    "POINT": _point,
    "CIRCLE": _circle,
    "ARC": _arc,
    "3DFACE": _face,
    "LWPOLYLINE": _lwpolyline,
    "POLYLINE": _polyline,
    "TEXT": _anchor,
    "MTEXT": _anchor,
    "ATTRIB": _anchor,
}
