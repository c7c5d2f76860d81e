"""The distinct parts of an assembly and the places of each, found without expanding the assembly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cadml_core import LimitExceeded, ReadLimits
from cadml_plugins.formats.kernel import _topology
from cadml_plugins.formats.kernel._mass import Placement
from cadml_plugins.formats.kernel._occt import Shape


@dataclass(frozen=True, slots=True)
class Part:
    """A distinct piece of geometry: a solid, or the loose sub-shapes of one compound."""

    shapes: tuple[Shape, ...]
    placements: tuple[Placement, ...]
    """Its places, 4 x 4 each; one per occurrence."""
    solid: bool
    faces: int
    """Of one occurrence."""


def find_parts(shape: Shape, limits: ReadLimits) -> list[Part]:
    """List the distinct parts of a shape with their places.

    Raises:
        LimitExceeded: Compounds are nested deeper than ``max_block_depth``, or the placed parts have more
        than
            ``max_entities`` faces. Both are checked before anything is expanded or measured.
    """
    tree = _Tree(limits)
    root = tree.node(shape, depth=0)
    # Depth and faces are known now, before any placement is multiplied out.
    faces = root.faces
    if faces > limits.max_entities:
        raise LimitExceeded("max_entities", found=faces, allowed=limits.max_entities)
    placements: dict[int, list[Placement]] = {}
    for node, placement in root.occurrences(_start(shape)):
        placements.setdefault(id(node), []).append(placement)
    return [
        Part(node.shapes, tuple(placements[id(node)]), node.solid, node.faces)
        for node in tree.nodes
        if id(node) in placements
    ]


def _start(root: Shape) -> Placement:
    """Return the place of the root itself, which is a part's only one where the root is that part."""
    place = _topology.placement(root.Location())
    return np.eye(4) if place is None else place


@dataclass(slots=True)
class _Node:
    """A compound or a part, without its placement; shared by all its uses."""

    shapes: tuple[Shape, ...] = ()
    solid: bool = False
    children: tuple[tuple[_Node, Placement | None], ...] = ()
    faces: int = 0
    """Faces of this node and all its children, at least 1, so that ``max_entities`` bounds empty ones too."""

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
        # Without its place, a shape equals every other use of it.
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
