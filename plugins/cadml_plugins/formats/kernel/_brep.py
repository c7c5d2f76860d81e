"""Counts and measures a boundary representation: each distinct part once, however often it is placed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cadml_core import Boundary, BoundingBox, MassProperties, ReadLimits
from cadml_plugins.formats.kernel import _boundary, _extents, _geometry, _tessellation, _topology
from cadml_plugins.formats.kernel._assembly import Part, find_parts
from cadml_plugins.formats.kernel._mass import Mass, mass_properties
from cadml_plugins.formats.kernel._occt import Failure, Shape
from cadml_plugins.formats.kernel._recognition import Namer

VALIDITY_FACES = 2_000
"""The kernel's validity check runs on files of at most so many distinct faces; it adds a fifth to the time of
reading an ordinary part."""


@dataclass(slots=True)
class Census:
    """What a shape consists of, with occurrences multiplied out."""

    faces: Counter[str] = field(default_factory=Counter)
    areas: dict[str, float] = field(default_factory=dict)
    edges: Counter[str] = field(default_factory=Counter)
    solids: int = 0
    shells: int = 0
    points: int = 0
    facets: int = 0
    distinct_faces: int = 0
    closed: bool = True
    """Whether no shell has a free edge, and every face could be measured."""
    mass: MassProperties | None = None
    box: BoundingBox | None = None
    measured: list[float] = field(default_factory=list)
    """The areas of one part's faces, in their order; 0 for one that could not be measured."""
    columns: _boundary.Columns | None = None
    """Of one part, where they are wanted."""
    boundary: Boundary | None = None
    """Of all of them, where it is wanted."""
    warnings: list[str] = field(default_factory=list)

    def add(self, other: Census, times: int) -> None:
        """Add another census ``times`` times."""
        for own, others in ((self.faces, other.faces), (self.edges, other.edges)):
            for key, count in others.items():
                own[key] += count * times
        for key, area in other.areas.items():
            self.areas[key] = self.areas.get(key, 0.0) + area * times
        self.solids += other.solids * times
        self.shells += other.shells * times
        self.points += other.points * times
        self.facets += other.facets * times
        self.distinct_faces += other.faces.total()
        self.warnings += other.warnings

    def take(self, face: Shape, integrals: _geometry.FaceIntegrals, namer: Namer) -> bool:
        """Count a face; tell whether it could be measured as well."""
        kind = _geometry.surface_kind(face)
        name = namer.surface(face, kind)
        self.faces[name] += 1
        try:
            area = abs(integrals.add(face, kind))
        except Failure:
            self.measured.append(0.0)
            return False
        self.measured.append(area if math.isfinite(area) else 0.0)
        if math.isfinite(area):
            self.areas[name] = self.areas.get(name, 0.0) + area
        return math.isfinite(area)

    def is_exact(self, face: Shape) -> bool:
        """Tell whether a face has a surface; count the facets of one that has only those."""
        exact = _geometry.has_surface(face)
        if not exact:
            self.facets += _tessellation.triangle_count(face)
        return exact

    @property
    def area(self) -> float | None:
        """The whole surface area; None where there is no surface."""
        return sum(self.areas.values()) if self.faces else None


def measure(shape: Shape, limits: ReadLimits, namer: Namer) -> Census:
    """Count and measure everything in a shape; ``namer`` names faces and edges.

    Raises:
        LimitExceeded: See ``find_parts``.
    """
    parts = find_parts(shape, limits)
    census = Census()
    solids: list[Mass] = []
    sheets: list[Mass] = []
    closed = True
    bodies: list[tuple[_boundary.Columns | None, int]] = []
    for part in parts:
        counts, mass = _measure_part(part, namer, boundary=limits.mesh is not None)
        if counts.faces:
            bodies.append((counts.columns, len(part.placements)))
        census.add(counts, len(part.placements))
        if mass is not None:
            # The formal volumes of sheets are used only where there is no solid.
            (solids if part.solid else sheets).extend(mass.placed(place) for place in part.placements)
            closed = closed and (counts.closed or not part.solid)
    census.boundary = _boundary.join(bodies)
    census.mass = _add_masses(solids, sheets, closed, census.warnings)
    census.box = _extents.bounding_box(shape, census.warnings)
    _check_validity(parts, census)
    return census


def _add_masses(
    solids: Sequence[Mass], sheets: Sequence[Mass], closed: bool, warnings: list[str]
) -> MassProperties | None:
    """Add up the solids; where there is none, the formal volumes of the sheets."""
    if not solids and not sheets:
        return None
    if solids and not closed:
        warnings.append("a solid is not closed, so the volume is only formal")
    elif any(mass.volume < 0.0 for mass in solids):
        warnings.append("a solid is inside out; its volume is counted as positive")
    mass = mass_properties(solids or sheets, reliable=bool(solids) and closed)
    if mass is None:
        warnings.append("the volume could not be computed")
    return mass


def _measure_part(part: Part, namer: Namer, *, boundary: bool) -> tuple[Census, Mass | None]:
    """Count and measure one part at the origin."""
    counts = Census(solids=int(part.solid))
    faces = [face for face in _distinct(part.shapes, _topology.FACE) if counts.is_exact(face)]
    shells = _distinct(part.shapes, _topology.SHELL)
    counts.shells = len(shells)
    for edge in _distinct(part.shapes, _topology.EDGE):
        if (kind := _geometry.curve_kind(edge)) is not None:
            counts.edges[namer.curve(edge, kind)] += 1
    if not faces:
        counts.points = 0 if counts.edges else len(_distinct(part.shapes, _topology.VERTEX))
        return counts, None
    integrals = _geometry.FaceIntegrals(_middle(part.shapes))
    failed = sum(not counts.take(face, integrals, namer) for face in faces)
    if failed:
        counts.warnings.append(f"{failed} of {len(faces)} faces could not be measured")
    if boundary:
        counts.columns = _boundary.collect(faces, counts.measured, namer)
    counts.closed = not failed and all(map(_topology.is_closed, shells))
    return counts, Mass(*integrals.volume())


def _distinct(shapes: Sequence[Shape], kind: Any) -> list[Shape]:
    return [found for shape in shapes for found in _topology.distinct(shape, kind)]


def _middle(shapes: Sequence[Shape]) -> tuple[float, float, float]:
    """Return the middle of the shapes: integrals about it lose no digits to the distance from the origin."""
    boxes = [box for shape in shapes if (box := _geometry.quick_bounds(shape))]
    if not boxes:
        return (0.0, 0.0, 0.0)
    low, high = np.min(boxes, axis=0)[:3], np.max(boxes, axis=0)[3:]
    middle = np.clip((low + high) / 2, -1e50, 1e50)
    return (float(middle[0]), float(middle[1]), float(middle[2]))


def _check_validity(parts: Sequence[Part], census: Census) -> None:
    if not 0 < census.distinct_faces <= VALIDITY_FACES:
        return
    invalid = sum(not _valid(shape) for part in parts for shape in part.shapes)
    total = sum(len(part.shapes) for part in parts)
    if invalid:
        census.warnings.append(
            f"{invalid} of {total} distinct shapes are not valid: their topology and geometry disagree"
        )


def _valid(shape: Shape) -> bool:
    try:
        return _topology.is_valid(shape)
    except Failure:
        return False
