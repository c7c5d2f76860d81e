"""Relations: true copies are certified however they lie, and nothing else ever is."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cadml_core.relations.blocking import EXACT, difference
from cadml_core.relations.relate import relate
from cadml_core.relations.relation import Subject
from cadml_plugins.formats.kernel import _topology
from tests.unit.formats import kernel_parts as parts
from tests.unit.relations import solids

SHAPES: dict[str, Callable[[], Any]] = {
    "bracket": parts.bracket,
    "disc": parts.drilled_cylinder,
    "rounded": parts.filleted_block,
    "socket": lambda: solids.hex_socket(0.3),
    "flange": lambda: solids.two_circles(0.1),
    "radial": lambda: solids.radial_holes(0.1),
    "depths": lambda: solids.depths((4, 8, 12, 16)),
    "cone": parts.cone,
    "torus": parts.torus,
    "ball": parts.sphere,
    "cube": lambda: parts.box(10, 10, 10),
    "ellipse": lambda: solids.ellipse_boss(0.2),
    "needle": lambda: parts.box(1000, 1, 1),
    "sheet": lambda: parts.box(500, 400, 0.5),
    "spring": lambda: solids.spring(2, 1),
}
CHIRAL = {"radial", "depths", "spring", "ellipse", "socket"}
"""Those that differ from their mirror images; a plate with through holes is its image, turned over."""


@lru_cache(maxsize=32)
def shape(name: str) -> Any:
    """One of the shapes, made once."""
    return SHAPES[name]()


@lru_cache(maxsize=32)
def original(name: str) -> Subject:
    """The same as a subject."""
    return solids.subject(shape(name))


directions = st.tuples(*[st.floats(-1.0, 1.0)] * 3).filter(lambda axis: math.hypot(*axis) > 0.1)
angles = st.floats(-math.pi, math.pi)
shifts = st.tuples(*[st.floats(-1e4, 1e4)] * 3)
names = st.sampled_from(sorted(SHAPES))


def centre(subject: Subject) -> Any:
    """The centroid, with a 1 for the shift of a motion."""
    assert subject.features is not None
    return np.array([*subject.features.origin, 1.0])


@given(name=names, axis=directions, angle=angles, shift=shifts)
@settings(max_examples=40, deadline=None)
def test_a_moved_copy_is_the_same(name: str, axis: Any, angle: float, shift: Any) -> None:
    """Any rigid motion is found: the certificate has a proper motion that takes one centroid to the other."""
    copy = solids.subject(solids.turned(shape(name), axis, angle, shift))
    found = relate(original(name), copy)
    assert (found.kind, found.certified) == ("same", True)
    # The kernel may or may not recognise an ellipse in another place, so that types differ.
    assert found.evidence in ("features", "features_relaxed")
    assert found.deviation_mm is not None
    assert found.tolerance_mm is not None
    assert found.deviation_mm < 0.1 * found.tolerance_mm
    matrix = np.array(found.motion)
    assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1.0)
    assert matrix @ centre(original(name)) == pytest.approx(
        centre(copy), abs=1e-6 * (1 + np.abs(shift).max())
    )


@pytest.mark.parametrize("name", sorted(SHAPES))
@given(axis=directions, angle=angles)
@settings(max_examples=4, deadline=None)
def test_a_mirror_image_is_told_where_there_is_one(name: str, axis: Any, angle: float) -> None:
    """A chiral part's image is ``mirrored``; that of any other is the same part. Neither is ever mistaken."""
    image = solids.subject(solids.mirrored(solids.turned(shape(name), axis, angle)))
    found = relate(original(name), image)
    assert found.kind == ("mirrored" if name in CHIRAL else "same")
    assert found.motion is not None
    hand = np.linalg.det(np.array(found.motion)[:3, :3])
    assert hand == pytest.approx(-1.0 if name in CHIRAL else 1.0)


@given(name=names, factor=st.sampled_from([0.5, 1.002, 1.5, 2.0, 25.4, 1000.0]), mirror=st.booleans())
@settings(max_examples=30, deadline=None)
def test_a_larger_copy_is_scaled(name: str, factor: float, mirror: bool) -> None:
    """The factor is told to 1e-6, and whether the copy is a mirror image as well."""
    copy = solids.scaled(shape(name), factor)
    found = relate(original(name), solids.subject(solids.mirrored(copy) if mirror else copy))
    assert found.kind == "scaled"
    assert found.scale == pytest.approx(factor, rel=1e-6)
    assert found.mirrored == (mirror and name in CHIRAL)


@pytest.mark.parametrize("kind", sorted(solids.DECEIVING))
def test_a_deceiving_pair_is_not_the_same(kind: str) -> None:
    """Different parts of equal volume, area and moments are never certified, and their own copies are."""
    first, second = (make() for make in solids.DECEIVING[kind])
    a, b = solids.subject(first), solids.subject(second)
    assert a.document.invariants is not None
    assert b.document.invariants is not None
    assert difference(a.document.invariants.whole, b.document.invariants.whole) < EXACT
    for one, other in ((a, b), (b, a)):
        found = relate(one, other)
        assert not found.certified
        assert found.candidate is None
    moved = solids.subject(solids.turned(second, (1, 2, 3), 1.1, (10, 20, 30)))
    assert relate(b, moved).kind == "same"


def test_left_and_right_springs_are_mirror_images() -> None:
    """Springs of whole turns have the same features; the handedness tells them apart."""
    left, right = (solids.subject(solids.spring(3, hand)) for hand in (-1, 1))
    assert relate(left, right).kind == "mirrored"
    turned = solids.subject(solids.turned(solids.spring(3, 1), (1, 1, 0), 2.0))
    assert relate(right, turned).kind == "same"


@given(turn=st.floats(0.5, 5.5), start=st.floats(0.0, 360.0), tilt=directions, lean=angles)
@settings(max_examples=25, deadline=None)
def test_any_clocking_is_told(turn: float, start: float, tilt: Any, lean: float) -> None:
    """Bolt circles at another angle to one another are another part, wherever and however the part lies."""
    a = solids.two_circles(math.radians(start))
    b = solids.turned(solids.two_circles(math.radians(start + turn)), tilt, lean)
    symmetric = (
        min((2 * start + turn) % 12, -(2 * start + turn) % 12) < 0.2
    )  # turned over, it is the same part
    found = relate(solids.subject(a), solids.subject(b))
    assert symmetric or not found.certified


@pytest.mark.parametrize(
    ("moved", "kind", "candidate"),
    [(1e-5, "same", None), (5e-5, "same", None), (1e-3, "similar", "same"), (2e-2, "variant", None)],
)
def test_the_tolerance_has_two_edges(moved: float, kind: str, candidate: str | None) -> None:
    """A hole off by up to 1e-4 of the size passes, by up to 3e-3 is undecided, by more makes a variant."""

    def plate(shift: float) -> Subject:
        holes = [parts.cylinder(3, 40, x=x, y=15, z=-5) for x in (20, 60, 100 + shift, 160)]
        return solids.subject(parts.cut(parts.box(200, 30, 10), *holes))

    first = plate(0.0)
    assert first.document.invariants is not None
    found = relate(first, plate(moved * first.document.invariants.whole.length))
    assert (found.kind, found.candidate) == (kind, candidate)


EDITS = {
    "another hole": (None, lambda block: parts.cut(block, parts.cylinder(0.8, 40, x=25, y=3, z=-5))),
    "a deeper hole": (7.0, None),
    "a wider hole": (None, lambda block: parts.cut(block, parts.cylinder(2.6, 40, x=12, y=15, z=4))),
    "thicker": (None, lambda block: parts.fuse(block, parts.box(30, 20, 1, at=(0, 0, -0.5)))),
}


@pytest.mark.parametrize("edit", sorted(EDITS))
def test_an_edited_part_is_a_variant(edit: str) -> None:
    """An edit is never certified, and what differs is named."""

    def block(depth: float) -> Any:
        holes = [parts.cylinder(2, 40, x=12, y=15, z=depth), parts.cylinder(2, 40, x=8, y=6, z=4)]
        return parts.cut(parts.box(30, 20, 10), *holes)

    depth, change = EDITS[edit]
    edited = block(4.0) if depth is None else block(10.0 - depth)
    found = relate(solids.subject(block(4.0)), solids.subject(change(edited) if change else edited))
    assert found.kind == "variant"
    assert found.differences


def test_the_same_bytes_need_no_look() -> None:
    """A file is identical to itself even where nothing could be read of it."""
    wire = solids.subject(parts.ellipse())
    assert relate(wire, wire).kind == "identical"


def test_copies_and_assemblies() -> None:
    """Two bodies are a multiple; an assembly contains its parts, and they are part of it."""
    bracket, block = shape("radial"), parts.box(10, 20, 30)
    single = solids.subject(bracket)
    copy = solids.turned(bracket, (1, 1, 1), 1.0, (200, 0, 0))
    two = relate(single, solids.subject(parts.compound([bracket, copy])))
    assert (two.kind, two.count, two.certified) == ("multiple", 2, True)
    assembly = solids.subject(parts.compound([copy, block, parts.placed(block, x=-90, turn=0.4)]))
    holds = relate(single, assembly)
    assert (holds.kind, holds.count, holds.mirrored) == ("contains", 1, False)
    assert holds.motion is not None
    again = relate(assembly, solids.subject(block))
    assert (again.kind, again.count) == ("part_of", 2)
    image = relate(single, solids.subject(parts.compound([solids.mirrored(bracket), block])))
    assert (image.kind, image.mirrored) == ("contains", True)


def test_an_assembly_of_other_parts_contains_nothing() -> None:
    """A body of the same volume and moments that is not congruent is not in the assembly."""
    first, second = (make() for make in solids.DECEIVING["clocked bolt circles"])
    assembly = solids.subject(parts.compound([second, parts.box(at=(100, 0, 0))]))
    assert not relate(solids.subject(first), assembly).certified


def test_far_from_the_origin() -> None:
    """A copy 1e7 mm away is the same within the tolerance, not an error."""
    far = solids.turned(shape("bracket"), (1, 2, 3), 0.7, (1e7, -1e7, 1e7))
    assert relate(original("bracket"), solids.subject(far)).kind == "same"


def test_open_and_flat_parts_are_never_certified() -> None:
    """Shells with a free edge, surfaces and wires have no certificate, and the answer says why."""
    box = parts.box()
    shell = _topology.shell_of(parts.faces(box)[0])
    open_box = parts.compound(parts.faces(box)[:5])
    for bad in (shell, open_box, parts.ellipse(), parts.extruded(parts.ellipse())):
        one, other = (solids.subject(solids.turned(bad, (0, 0, 1), angle)) for angle in (0.0, 0.3))
        found = relate(one, other)
        assert not found.certified
        assert found.reason
        assert not relate(one, solids.subject(box)).certified


def test_too_many_features_are_undecided() -> None:
    """Thousands of tiny bodies have no feature list: equal ones are perhaps the same, and that is said."""
    cubes = [parts.placed(parts.box(1, 1, 1), x=2.0 * k, y=3.0 * (k % 7)) for k in range(400)]
    one, other = (solids.subject(parts.compound(cubes)) for _ in range(2))
    assert one.features is None
    found = relate(one, other)
    assert (found.certified, found.candidate) == (False, "same")
    assert "too many" in str(found.reason)


def test_the_same_answer_twice() -> None:
    """Nothing is random: the whole answer is equal when it is asked again."""
    a, b = original("flange"), solids.subject(solids.turned(shape("flange"), (1, 0, 1), 0.4))
    assert relate(a, b) == relate(a, b)
