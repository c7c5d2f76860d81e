"""Counts and measures a boundary representation: each distinct part once, however often it is placed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec
import numpy as np

from cadml_core import Boundary, BoundingBox, FeatureList, Invariants, MassProperties, ReadLimits
from cadml_plugins.formats.kernel import (
    _boundary,
    _cross_check,
    _doubts,
    _extents,
    _geometry,
    _tessellation,
    _topology,
)
from cadml_plugins.formats.kernel._assembly import Part, find_parts
from cadml_plugins.formats.kernel._features import Found, FoundFace
from cadml_plugins.formats.kernel._identity import Body, identity
from cadml_plugins.formats.kernel._integrals import FaceIntegrals
from cadml_plugins.formats.kernel._mass import Mass, mass_properties, total_mass
from cadml_plugins.formats.kernel._occt import Failure, Shape
from cadml_plugins.formats.kernel._quadrature import Budget
from cadml_plugins.formats.kernel._recognition import Namer

VALIDITY_FACES = 2_000
"""The kernel's validity check runs on files of at most so many distinct faces; it adds a fifth to the time of
reading an ordinary part."""

PLAIN = ("line", "circle", "ellipse")
"""Curves that the kernel integrates exactly along the edges of planes."""


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
    open_shells: int = 0
    """Shells outside of solids, and faces outside of shells."""
    open_area: float = 0.0
    mass: MassProperties | None = None
    box: BoundingBox | None = None
    invariants: Invariants | None = None
    features: FeatureList | None = None
    measured: list[tuple[Shape, float]] = field(default_factory=list)
    """The faces of one part with their areas, 0 for one that could not be measured."""
    boundary: Boundary | None = None
    """Of the whole, where a mesh is wanted."""
    warnings: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    """Why the volume may be wrong; none where it is reliable."""

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
        self.open_shells += other.open_shells * times
        self.open_area += other.open_area * times
        self.warnings += other.warnings
        self.doubts += other.doubts

    def take(self, face: Shape, integrals: FaceIntegrals, namer: Namer, found: Found) -> bool:
        """Count a face; tell whether it could be measured as well."""
        kind = _geometry.surface_kind(face)
        name = namer.surface(face, kind)
        self.faces[name] += 1
        try:
            area = abs(integrals.add(face, kind))
        except Failure:
            self.measured.append((face, 0.0))
            return False
        found.faces.append(FoundFace(face, name, area, integrals.last))
        self.measured.append((face, area if math.isfinite(area) else 0.0))
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


def measure(shape: Shape, limits: ReadLimits, namer: Namer, doubts: Sequence[str] = ()) -> Census:
    """Count and measure everything in a shape; ``namer`` names faces and edges.

    Args:
        doubts: What is known against the volume before it is measured.

    Raises:
        LimitExceeded: See ``find_parts``.
    """
    census = Census(doubts=list(doubts))
    solids: list[Mass] = []
    sheets: list[Mass] = []
    parts = find_parts(shape, limits)
    check_validity = sum(part.faces for part in parts) <= VALIDITY_FACES
    budget, checks = Budget(), _cross_check.Budget()
    bodies = []
    boundaries: list[tuple[_boundary.Columns | None, int]] = []
    for part in parts:
        counts, found = Census(solids=int(part.solid)), Found()
        bounds = _bounds(part.shapes)
        mass = _measure_part(part, bounds, namer, budget, counts, found)
        if mass is not None:
            # The formal volumes of sheets are used only where there is no solid.
            (solids if part.solid else sheets).extend(mass.placed(place) for place in part.placements)
        if mass is not None and check_validity:
            _check_validity(part, mass, counts, checks)
        bodies.append(Body(found, part.placements, part.solid, mass, _middle(bounds), not counts.doubts))
        census.add(counts, len(part.placements))
        if limits.mesh is not None and counts.faces:
            boundaries.append((_boundary.collect(counts.measured, namer), len(part.placements)))
    census.boundary = _boundary.join(boundaries)
    census.box = _extents.bounding_box(shape, census.warnings)
    census.mass = _add_masses(solids, sheets, census)
    census.invariants, census.features = identity(bodies, reliable=not census.doubts)
    return census


def _add_masses(solids: Sequence[Mass], sheets: Sequence[Mass], census: Census) -> MassProperties | None:
    """Add up the solids; where there is none, the formal volumes of the sheets."""
    if not solids and not sheets:
        return None
    if sheets:
        left_out = "are not part of the volume" if solids else "so the volume is only formal"
        census.doubts.append(
            f"{census.open_shells} shells with {census.open_area:.6g} mm² of surface are open, {left_out}"
        )
    mass = mass_properties(solids or sheets)
    if mass is None:
        census.warnings.append("the volume could not be computed")
        return None
    if solids and census.box is not None:
        census.doubts += _doubts.of_file(mass.volume, mass.centroid, census.box)
    return msgspec.structs.replace(mass, reliable=not census.doubts)


def _measure_part(
    part: Part,
    bounds: _geometry.Bounds | None,
    namer: Namer,
    budget: Budget,
    counts: Census,
    found: Found,
) -> Mass | None:
    """Count and measure one part at the origin."""
    faces = [face for face in _distinct(part.shapes, _topology.FACE) if counts.is_exact(face)]
    shells = _distinct(part.shapes, _topology.SHELL)
    counts.shells, plain_edges = len(shells), True
    for edge in _distinct(part.shapes, _topology.EDGE):
        if (kind := _geometry.curve_kind(edge)) is not None:
            name = namer.curve(edge, kind)
            counts.edges[name] += 1
            found.edges.append((edge, name))
            plain_edges &= kind in PLAIN
    if not faces:
        counts.points = 0 if counts.edges else len(_distinct(part.shapes, _topology.VERTEX))
        return None
    new_integrals = partial(FaceIntegrals, _middle(bounds), budget, plain_edges=plain_edges)
    mass = _volume(part, faces, shells, new_integrals, counts, namer, found)
    if part.solid:
        counts.doubts += _doubts.of_body(mass, sum(counts.areas.values()), bounds)
        if open_shells := sum(not _topology.is_closed(shell) for shell in shells):
            counts.doubts.append(f"{open_shells} of {len(shells)} shells of a solid are open")
    else:
        loose = [face for shape in part.shapes for face in _topology.loose_faces(shape)]
        counts.open_shells, counts.open_area = len(shells) + len(loose), sum(counts.areas.values())
    if not all(_topology.is_rigid(place) for place in part.placements):
        counts.doubts.append("a part is placed with a scale or as a mirror image")
    return mass


def _volume(
    part: Part,
    faces: Sequence[Shape],
    shells: Sequence[Shape],
    new_integrals: Callable[[], FaceIntegrals],
    counts: Census,
    namer: Namer,
    found: Found,
) -> Mass:
    """Count and integrate the faces; those of a solid with several shells shell by shell."""
    several = part.solid and len(shells) > 1
    groups = [_exact_faces(shell) for shell in shells] if several else [faces]
    masses, failed, inexact = [], 0, 0
    for group in groups:
        integrals = new_integrals()
        failed += sum(not counts.take(face, integrals, namer, found) for face in group)
        inexact += integrals.inexact
        masses.append(Mass(*integrals.volume()))
    if inexact:
        counts.doubts.append(f"{inexact} faces are too long, winding or many to be integrated exactly")
    if failed:
        counts.doubts.append(f"{failed} of {len(faces)} faces could not be measured")
    return _nested(shells, masses, counts.doubts) if several else masses[0]


def _nested(shells: Sequence[Shape], masses: Sequence[Mass], doubts: list[str]) -> Mass:
    """Add up the shells of a solid: cavities are taken away from the shell around them, lumps added."""
    outer = max(range(len(masses)), key=lambda number: abs(masses[number].volume))
    outwards = masses[outer].volume > 0.0
    signed = []
    for shell, mass in zip(shells, masses, strict=True):
        cavity = shell is not shells[outer] and _topology.lies_within(shell, shells[outer])
        if (mass.volume > 0.0) == (outwards == cavity) and mass.volume:
            doubts.append(
                "a cavity of a solid does not face inwards" if cavity else "shells of a solid cancel"
            )
            mass = mass.reversed()
        signed.append(mass)
    return total_mass(signed)


def _exact_faces(shell: Shape) -> list[Shape]:
    return [face for face in _topology.distinct(shell, _topology.FACE) if _geometry.has_surface(face)]


def _distinct(shapes: Sequence[Shape], kind: Any) -> list[Shape]:
    return [found for shape in shapes for found in _topology.distinct(shape, kind)]


def _bounds(shapes: Sequence[Shape]) -> _geometry.Bounds | None:
    boxes = [box for shape in shapes if (box := _geometry.quick_bounds(shape))]
    if not boxes:
        return None
    low, high = np.min(boxes, axis=0)[:3].tolist(), np.max(boxes, axis=0)[3:].tolist()
    return (low[0], low[1], low[2], high[0], high[1], high[2])


def _middle(bounds: _geometry.Bounds | None) -> tuple[float, float, float]:
    """Return the middle of a box: integrals about it lose no digits to the distance from the origin."""
    if bounds is None:
        return (0.0, 0.0, 0.0)
    x, y, z = np.clip((np.array(bounds[:3]) + bounds[3:]) / 2, -1e50, 1e50).tolist()
    return (x, y, z)


def _check_validity(part: Part, mass: Mass, counts: Census, budget: _cross_check.Budget) -> None:
    """Let the kernel check whether topology and geometry agree; where not, check the volume otherwise."""
    if all(map(_valid, part.shapes)):
        return
    name = "a solid" if part.solid else "a surface"
    counts.warnings.append(f"{name} is not valid: its topology and geometry disagree")
    if not part.solid:
        return
    estimate = _cross_check.volume_of_facets(part.shapes[0], budget)
    if isinstance(estimate, str):
        counts.doubts.append(f"a solid is not valid, and its volume was not checked: {estimate}")
    elif not estimate.agrees(mass.volume):
        counts.doubts.append(
            f"a solid is not valid, and its volume, {abs(mass.volume):.6g} mm³, is not that of its facets,"
            f" {abs(estimate.volume):.6g} ± {estimate.error:.2g} mm³"
        )
    elif abs(mass.volume) > estimate.hull:
        counts.doubts.append(
            f"a solid is not valid, and its volume, {abs(mass.volume):.6g} mm³, is larger than its convex"
            " hull: its faces meet one another"
        )


def _valid(shape: Shape) -> bool:
    try:
        return _topology.is_valid(shape)
    except Failure:
        return False
