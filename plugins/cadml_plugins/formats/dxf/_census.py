"""Counts DXF entities, with the content of blocks where it is placed, and collects their extents."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from ezdxf.lldxf.const import DXFAttributeError
from ezdxf.math import Vec3

from cadml_core import LimitExceeded, MalformedFile, ReadLimits
from cadml_plugins.formats.dxf._acis import examine_body
from cadml_plugins.formats.dxf._extent import Extent, Points, box_of, reduced, robust_extent
from cadml_plugins.formats.dxf._kinds import ACIS_SHEETS, ACIS_SOLIDS, BOUNDED, facets_of
from cadml_plugins.formats.dxf._load import PARSER_FAILURES
from cadml_plugins.formats.dxf._outlines import outline

_MOST_POINTS = 200_000
"""Points of a block's outline that are collected before they are reduced to what extents need."""
_MOST_WARNINGS = 50


class Tally(NamedTuple):
    """What a block contains, with its nested blocks placed."""

    name: str
    kinds: Counter[str]
    measures: Counter[str]
    """``facets``, ``solids``, ``shells``, ``acis_faces``, ``acis_unread`` bodies, ``strays``."""
    layers: frozenset[str]
    height: int
    """Levels of blocks: 1 for a block without nested ones."""
    points: Points
    """An outline with the extents of the content under any placement."""


class Census:
    """Counts entities one by one.

    A block reference (INSERT) stands for the content of its block, as often as it is placed; one without
    content is counted itself. Content is counted by multiplication and never expanded: a small file of nested
    blocks may draw billions of entities.
    """

    def __init__(self, blocks: Blocks, *, keep_outlines: bool = False) -> None:
        self._blocks = blocks
        self._keep_outlines = keep_outlines
        self.kinds: Counter[str] = Counter()
        self.measures: Counter[str] = Counter()
        self.layers: set[str] = set()
        self.total = 0
        """How many entities there are."""
        self.height = 0
        self._placed: set[str] = set()
        self._boxes = array("d")
        self._anchors = array("d")
        self._outlines: list[Points] = []
        self._points = 0

    def add(self, entity: Any) -> None:
        """Count one entity.

        Raises:
            MalformedFile: A coordinate is NaN or infinite.
            LimitExceeded: Too many entities, or blocks nested too deeply.
        """
        kind = entity.dxftype()
        self.layers.add(_layer(entity))
        if kind == "INSERT":
            self._place(entity)
        elif kind in ACIS_SOLIDS or kind in ACIS_SHEETS:
            self._add_body(kind, entity)
        else:
            self.count(kind)
            self.add_facets(facets_of(entity))
            self._locate(self._outline(entity), entity, kind in BOUNDED)

    def count(self, kind: str, number: int = 1) -> None:
        """Count entities of a kind.

        Raises:
            LimitExceeded: There are too many now.
        """
        self.kinds[kind] += number
        self.total += number
        self._blocks.check_count(self.total)

    @property
    def has_geometry(self) -> bool:
        """Whether anything has extents, but annotations and infinite lines."""
        return bool(self._boxes)

    def add_facets(self, number: int) -> None:
        """Count flat faces of meshes.

        Raises:
            LimitExceeded: There are too many now.
        """
        if number:
            self.measures["facets"] += number
            self._blocks.check_facets(self.measures["facets"])

    def add_box(self, box: Iterable[float]) -> None:
        """Add the extents of a geometric entity: two opposite corners, six finite numbers."""
        self._boxes.extend(box)

    def add_anchor(self, box: Iterable[float]) -> None:
        """Add the place of an annotation likewise."""
        self._anchors.extend(box)

    def extent(self) -> Extent | None:
        """Return the extents of the geometry, or where there is none, of the points that anchor
        the annotations; None without either."""
        numbers = self._boxes or self._anchors
        return robust_extent(np.frombuffer(numbers).reshape(-1, 6)) if numbers else None

    def tally(self, name: str) -> Tally:
        """Return what was counted, as the content of a block of that name; needs ``keep_outlines``."""
        self._condense()
        points = self._outlines[0] if self._outlines else np.empty((0, 3))
        return Tally(name, self.kinds, self.measures, frozenset(self.layers), self.height + 1, points)

    def _outline(self, entity: Any) -> Points:
        try:
            return outline(entity)
        except PARSER_FAILURES as error:
            kind, handle = entity.dxftype(), entity.dxf.get("handle", "?")
            self._blocks.warn(
                f"the shape of a {kind} cannot be computed ({error}), for example of #{handle}", kind
            )
            return np.empty((0, 3))

    def _locate(self, points: Points, entity: Any, geometric: bool) -> None:
        if not len(points):
            return
        box = box_of(points)
        if not all(map(math.isfinite, box)):
            raise not_finite(entity.dxftype(), entity.dxf.get("handle"))
        if not geometric:
            self._anchors.extend(box)
            return
        self._boxes.extend(box)
        if self._keep_outlines:
            self._outlines.append(points)
            self._points += len(points)
            if self._points > _MOST_POINTS:
                self._condense()

    def _condense(self) -> None:
        """Replace all outlines so far by one without strays."""
        extent = self.extent() if self._boxes else None
        if extent is None:
            return
        self.measures["strays"] += int(extent.stray.sum())
        outlines = [points for points, stray in zip(self._outlines, extent.stray, strict=True) if not stray]
        self._outlines = [reduced(np.concatenate(outlines))]
        self._boxes = array("d", box_of(self._outlines[0]))
        self._points = len(self._outlines[0])

    def _add_body(self, kind: str, entity: Any) -> None:
        self.count(kind)
        body = examine_body(entity)
        self.measures["acis_faces"] += body.faces
        self.measures["acis_unread"] += not body.faces
        self.measures["solids" if kind in ACIS_SOLIDS else "shells"] += 1
        self._locate(body.points, entity, geometric=True)

    def _place(self, insert: Any) -> None:
        # Attributes belong to this reference, not to its block.
        for attrib in insert.attribs:
            self.add(attrib)
        content = self._blocks.content(str(insert.dxf.get("name", "")))
        if content is None or not content.kinds:
            self.count("INSERT")
            self._locate(self._outline(insert), insert, geometric=False)
            return
        # An INSERT may be a grid; a count of 0 means 1.
        columns, rows = max(1, insert.dxf.column_count), max(1, insert.dxf.row_count)
        # Checked first: nested blocks may multiply to astronomical counts.
        self.total += columns * rows * content.kinds.total()
        self._blocks.check_count(self.total)
        self.kinds.update({name: number * columns * rows for name, number in content.kinds.items()})
        self.measures.update({name: number * columns * rows for name, number in content.measures.items()})
        # A block placed a thousand times has its layers added once.
        if content.name not in self._placed:
            self._placed.add(content.name)
            self.layers |= content.layers
        self.height = max(self.height, content.height)
        self._blocks.check_depth(self.height)
        self._blocks.check_facets(self.measures["facets"])
        if len(content.points):
            self._locate(_placed(content.points, insert, columns, rows), insert, geometric=True)
        else:
            self._locate(self._outline(insert), insert, geometric=False)


class Blocks:
    """The block definitions of a document, each examined once, when it is first placed."""

    def __init__(self, document: Any, limits: ReadLimits) -> None:
        self._document = document
        self._limits = limits
        self._contents: dict[str, Tally | None] = {}
        self._open: list[str] = []
        self._warnings: dict[str, str] = {}

    @property
    def warnings(self) -> list[str]:
        """What was found about blocks and shapes."""
        return list(self._warnings.values())

    def warn(self, sentence: str, subject: str) -> None:
        """Add a warning, once for each subject."""
        if len(self._warnings) < _MOST_WARNINGS:
            self._warnings.setdefault(subject, sentence)

    def content(self, name: str) -> Tally | None:
        """Return what the block contains; None where the file does not define it.

        Raises:
            LimitExceeded: It contains too much, or is nested too deeply.
        """
        key = name.casefold()  # block names do not distinguish case
        if key in self._open:
            self.warn(f"block {name!r} contains itself; the inner reference was ignored", f"cycle {key}")
            return None
        if key not in self._contents:
            self._open.append(key)
            self.check_depth(len(self._open))
            self._contents[key] = self._examine(name)
            self._open.pop()
        return self._contents[key]

    def _examine(self, name: str) -> Tally | None:
        block = self._document.blocks.get(name)
        if block is None:
            self.warn(f"block {name!r} is placed but not defined", f"block {name}")
            return None
        if block.block is not None and (block.block.is_xref or block.block.is_xref_overlay):
            self.warn(f"block {name!r} refers to another file, which was not followed", f"block {name}")
            return None
        census = Census(self, keep_outlines=True)
        for entity in block:
            if entity.is_alive and entity.dxftype() != "ATTDEF":  # a template, not drawn when placed
                census.add(entity)
        return census.tally(name)

    def check_count(self, entities: int) -> None:
        """Check the number of entities.

        Raises:
            LimitExceeded: There are more than allowed.
        """
        if entities > self._limits.max_entities:
            raise LimitExceeded("max_entities", found=entities, allowed=self._limits.max_entities)

    def check_facets(self, facets: int) -> None:
        """Check the number of facets.

        Raises:
            LimitExceeded: There are more than allowed.
        """
        if facets > self._limits.max_triangles:
            raise LimitExceeded("max_triangles", found=facets, allowed=self._limits.max_triangles)

    def check_depth(self, levels: int) -> None:
        """Check the levels of blocks.

        Raises:
            LimitExceeded: There are more than allowed.
        """
        if levels > self._limits.max_block_depth:
            raise LimitExceeded("max_block_depth", found=levels, allowed=self._limits.max_block_depth)


def _layer(entity: Any) -> str:
    try:
        return str(entity.dxf.get("layer", "0"))
    except DXFAttributeError:  # a kind that ezdxf does not know
        return "0"


def not_finite(kind: str, handle: str | None) -> MalformedFile:
    """Return the error for an entity with a coordinate that is NaN or infinite."""
    kind = kind.encode("ascii", "replace").decode("ascii")
    return MalformedFile(
        f"{kind} #{handle or '?'} has a coordinate that is not a finite number; the exporter failed on it",
        entity=kind,
        handle=handle,
    )


def _placed(points: Points, insert: Any, columns: int, rows: int) -> Points:
    """Return the outline at the four corners of the insert's grid: no other place reaches further."""
    matrix = np.array(list(insert.matrix44())).reshape(4, 4)
    once: Points = points @ matrix[:3, :3] + matrix[3, :3]
    if columns == rows == 1:
        return once
    dxf, axes = insert.dxf, insert.ocs()
    turn = math.radians(dxf.rotation)
    along, across = (columns - 1) * dxf.column_spacing, (rows - 1) * dxf.row_spacing
    offsets = [
        axes.to_wcs(
            Vec3(x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn))
        ).xyz
        for x in (0.0, along)
        for y in (0.0, across)
    ]
    return np.concatenate([once + np.asarray(offset) for offset in offsets])
