"""Measures a boundary representation: one walk, each distinct part once, however often it is placed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cadml_core.contracts import ReadLimits
from cadml_core.document import BoundingBox, MassProperties
from cadml_core.errors import LimitExceeded
from cadml_plugins.formats import _extents, _geometry, _tessellation, _topology
from cadml_plugins.formats._occt import Failure, Shape

Placement = NDArray[np.float64]

SurfaceName = Callable[[Shape, str], str]
"""Names a face, given the kind of its surface as it is written."""

VALIDITY_FACES = 2_000
"""Up to this many distinct faces the kernel's validity check runs; it costs as much as reading."""


@dataclass(frozen=True, slots=True)
class Part:
    """One distinct piece of geometry: a solid, or the loose sub-shapes of one compound."""

    shapes: tuple[Shape, ...]
    placements: tuple[Placement, ...]
    """Where it stands, 4 x 4 each; one per occurrence."""
    solid: bool


@dataclass(frozen=True, slots=True)
class Mass:
    """Volume integrals at unit density."""

    volume: float
    centroid: NDArray[np.float64]
    inertia: NDArray[np.float64]
    """(3, 3), about the centroid."""

    def placed(self, placement: Placement) -> Mass:
        """Return the same body elsewhere."""
        rotation, shift = placement[:3, :3], placement[:3, 3]
        return Mass(self.volume, rotation @ self.centroid + shift, rotation @ self.inertia @ rotation.T)


def total_mass(masses: Sequence[Mass]) -> Mass:
    """Add bodies up, by the parallel axis theorem."""
    volume = sum(mass.volume for mass in masses)
    if volume == 0.0:
        return Mass(0.0, np.zeros(3), np.zeros((3, 3)))
    centroid = sum((mass.volume * mass.centroid for mass in masses), np.zeros(3)) / volume
    inertia = np.zeros((3, 3))
    for mass in masses:
        arm = mass.centroid - centroid
        inertia += mass.inertia + mass.volume * (arm @ arm * np.eye(3) - np.outer(arm, arm))
    return Mass(volume, centroid, inertia)


@dataclass(slots=True)
class Census:
    """What a shape holds, occurrences multiplied out; a format adapter turns it into a document."""

    faces: Counter[str] = field(default_factory=Counter)
    areas: dict[str, float] = field(default_factory=dict)
    edges: Counter[str] = field(default_factory=Counter)
    solids: int = 0
    shells: int = 0
    points: int = 0
    facets: int = 0
    distinct_faces: int = 0
    mass: MassProperties | None = None
    box: BoundingBox | None = None
    warnings: list[str] = field(default_factory=list)

    def add(self, other: Census, times: int) -> None:
        """Count another census in, ``times`` times over."""
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


def find_parts(shape: Shape, limits: ReadLimits) -> list[Part]:
    """List the distinct parts of a shape and where each stands.

    Raises:
        LimitExceeded: Compounds nest deeper than ``max_block_depth``, or the placed parts have more
            than ``max_entities`` faces. Nothing was expanded or measured then.
    """
    tree = _Tree(limits)
    root = tree.node(shape, depth=0)
    faces = root.faces
    if faces > limits.max_entities:
        raise LimitExceeded("max_entities", found=faces, allowed=limits.max_entities)
    placements: dict[int, list[Placement]] = {}
    for node, placement in root.occurrences(np.eye(4)):
        placements.setdefault(id(node), []).append(placement)
    return [
        Part(node.shapes, tuple(placements[id(node)]), node.solid)
        for node in tree.nodes
        if id(node) in placements
    ]


@dataclass(slots=True)
class _Node:
    """A compound or a part, without its placement; shared by all its uses."""

    shapes: tuple[Shape, ...] = ()
    solid: bool = False
    children: tuple[tuple[_Node, Placement | None], ...] = ()
    faces: int = 0
    """Faces of this node with all its children, at least 1 so that empty ones count as well."""

    def occurrences(self, placement: Placement) -> Iterator[tuple[_Node, Placement]]:
        if self.shapes:
            yield self, placement
        for child, own in self.children:
            yield from child.occurrences(placement if own is None else placement @ own)


class _Tree:
    """Builds one node for each distinct compound and part."""

    def __init__(self, limits: ReadLimits) -> None:
        self._limits = limits
        self._index = _topology.ShapeIndex()
        self._known: dict[int, _Node] = {}
        self.nodes: list[_Node] = []

    def node(self, shape: Shape, depth: int) -> _Node:
        if depth > self._limits.max_block_depth:
            raise LimitExceeded("max_block_depth", found=depth, allowed=self._limits.max_block_depth)
        shape = _topology.at_origin(shape)
        number = self._index.number(shape)
        if number not in self._known:
            kind = _topology.kind(shape)
            nested = kind in (_topology.COMPOUND, _topology.COMPSOLID)
            node = self._compound(shape, depth) if nested else self._part((shape,), kind == _topology.SOLID)
            self._known[number] = node
        return self._known[number]

    def _compound(self, shape: Shape, depth: int) -> _Node:
        loose, children = [], []
        for child in _topology.children(shape):
            if _topology.kind(child) in (_topology.COMPOUND, _topology.COMPSOLID, _topology.SOLID):
                children.append((self.node(child, depth + 1), _topology.placement(child.Location())))
            else:
                loose.append(child)
        if loose:
            children.append((self._part(tuple(loose), False), None))
        node = _Node(children=tuple(children), faces=sum(child.faces for child, _ in children))
        self.nodes.append(node)
        return node

    def _part(self, shapes: tuple[Shape, ...], solid: bool) -> _Node:
        faces = sum(_topology.count_distinct(shape, _topology.FACE) for shape in shapes)
        node = _Node(shapes=shapes, solid=solid, faces=max(faces, 1))
        self.nodes.append(node)
        return node


def measure(shape: Shape, limits: ReadLimits, name_surface: SurfaceName) -> Census:
    """Count and measure everything a shape holds; ``name_surface`` names a face.

    Raises:
        LimitExceeded: See ``find_parts``.
    """
    parts = find_parts(shape, limits)
    census = Census()
    solids: list[Mass] = []
    sheets: list[Mass] = []
    closed = True
    for part in parts:
        counts, mass, tight = _measure_part(part, name_surface)
        census.add(counts, len(part.placements))
        census.warnings += counts.warnings
        if mass is not None:
            (solids if part.solid else sheets).extend(mass.placed(place) for place in part.placements)
            closed = closed and (tight or not part.solid)
    if solids or sheets:
        census.mass = _mass_properties(solids or sheets, reliable=bool(solids) and closed, census=census)
    if solids and not closed:
        census.warnings.append("a solid is not closed, so the volume is only formal")
    census.box = _extents.bounding_box(shape, census.warnings)
    _check_validity(parts, census)
    return census


def _measure_part(part: Part, name_surface: SurfaceName) -> tuple[Census, Mass | None, bool]:
    """Count and measure one part at the origin; also tell whether its shells are closed."""
    counts = Census(solids=int(part.solid))
    faces = [face for face in _distinct(part.shapes, _topology.FACE) if counts.is_exact(face)]
    shells = _distinct(part.shapes, _topology.SHELL)
    counts.shells = len(shells)
    kinds = (_geometry.curve_kind(edge) for edge in _distinct(part.shapes, _topology.EDGE))
    counts.edges.update(kind for kind in kinds if kind is not None)
    if not faces:
        if not counts.edges:
            counts.points = len(_distinct(part.shapes, _topology.VERTEX))
        return counts, None, True
    integrals = _geometry.FaceIntegrals(_middle(part.shapes))
    failed = 0
    for face in faces:
        kind = _geometry.surface_kind(face)
        name = name_surface(face, kind)
        counts.faces[name] += 1
        try:
            area = integrals.add(face, kind)
        except Failure:
            failed += 1
            continue
        counts.areas[name] = counts.areas.get(name, 0.0) + abs(area)
    if failed:
        counts.warnings.append(f"{failed} of {len(faces)} faces could not be measured")
    return counts, Mass(*integrals.volume()), not failed and all(map(_topology.is_closed, shells))


def _distinct(shapes: Sequence[Shape], kind: Any) -> list[Shape]:
    return [found for shape in shapes for found in _topology.distinct(shape, kind)]


def _middle(shapes: Sequence[Shape]) -> tuple[float, float, float]:
    """Return a point amid the shapes: volume integrals about it keep their digits."""
    boxes = [box for shape in shapes if (box := _geometry.quick_bounds(shape))]
    if not boxes:
        return (0.0, 0.0, 0.0)
    low, high = np.min(boxes, axis=0)[:3], np.max(boxes, axis=0)[3:]
    middle = np.clip((low + high) / 2, -1e50, 1e50)
    return (float(middle[0]), float(middle[1]), float(middle[2]))


def _mass_properties(masses: Sequence[Mass], *, reliable: bool, census: Census) -> MassProperties | None:
    """Add up, turned right side out; None where the numbers are not finite."""
    if any(mass.volume < 0.0 for mass in masses):
        if reliable:
            census.warnings.append("a solid is inside out; its volume is counted as positive")
        masses = [
            mass if mass.volume >= 0.0 else Mass(-mass.volume, mass.centroid, -mass.inertia)
            for mass in masses
        ]
    total = total_mass(masses)
    if not (
        np.isfinite(total.volume) and np.isfinite(total.centroid).all() and np.isfinite(total.inertia).all()
    ):
        census.warnings.append("the volume could not be computed")
        return None
    moments = np.linalg.eigvalsh(total.inertia)
    return MassProperties(
        volume=total.volume,
        centroid=tuple(total.centroid.tolist()),
        principal_moments=tuple(np.sort(moments).tolist()),
        reliable=reliable,
    )


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
