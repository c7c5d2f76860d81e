"""Made-up contents with copies of known kinds: moved, mirrored, scaled, several, inside an assembly."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np

from cadml_core import CadDocument
from cadml_core.catalog.records import Content, NewPart
from cadml_core.documents.document import BoundingBox
from cadml_core.documents.feature_list import EDGE_CODES, FACE_CODES, VERTEX, FeatureList, encode_features
from cadml_core.documents.invariants import BodyInvariants, Invariants

BOX = BoundingBox((0.0, 0.0, 0.0), (30.0, 20.0, 10.0))
PLANTED = ("same", "mirrored", "scaled", "multiple", "contains")


class Body(NamedTuple):
    """A part as readers describe it."""

    features: FeatureList
    invariants: Invariants


def body(generator: np.random.Generator) -> Body:
    """A body of no symmetry, like no other."""
    count = int(generator.integers(12, 30))
    codes = [VERTEX, FACE_CODES["plane"], EDGE_CODES["line"]]
    kinds = generator.choice(codes, count).astype(np.uint8)
    points = generator.normal(0.0, 20.0, (count, 3)) + generator.normal(0.0, 1.0, 3)
    sizes = np.where(kinds == VERTEX, 0.0, generator.uniform(1.0, 50.0, count))
    features = FeatureList(
        kinds,
        np.zeros(count, np.int32),
        points,
        sizes,
        np.zeros(count),
        np.zeros(count),
        np.zeros((count, 6)),
        (0.0, 0.0, 0.0),
        np.zeros(1, np.int32),
        np.zeros((1, 3)),
    )
    low, middle, high = np.sort(generator.uniform(50.0, 500.0, 3)).tolist()
    volume, area = np.exp(generator.uniform([7.0, 6.0], [12.0, 9.0])).tolist()
    whole = BodyInvariants(volume=volume, area=area, moments=(low, middle, high))
    return Body(features, Invariants(whole, (whole,)))


def moved(one: Body, generator: np.random.Generator, *, mirror: bool = False) -> Body:
    """Turn a body about its centroid, as if it had been exported elsewhere; or make its mirror image."""
    turn, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    if (np.linalg.det(turn) < 0.0) != mirror:
        turn = -turn
    order = generator.permutation(len(one.features))
    features = one.features
    changed = msgspec.structs.replace(
        features,
        kinds=features.kinds[order],
        points=(features.points @ turn.T)[order],
        sizes=features.sizes[order],
    )
    return Body(changed, one.invariants)


def scaled(one: Body, factor: float) -> Body:
    """Make a body larger."""
    return Body(one.features.scaled(factor), one.invariants.scaled(factor))


def several(bodies: list[Body], rows: list[int]) -> Body:
    """Put bodies into one file: of ``rows``, those with one number are placements of one body."""
    centres = np.array([[100.0 * place, 0.0, 0.0] for place in range(len(bodies))])
    parts = [one.features for one in bodies]
    features = FeatureList(
        np.concatenate([part.kinds for part in parts]),
        np.concatenate([np.full(len(part), place, np.int32) for place, part in enumerate(parts)]),
        np.concatenate([part.points + centre for part, centre in zip(parts, centres, strict=True)]),
        np.concatenate([part.sizes for part in parts]),
        np.concatenate([part.radii for part in parts]),
        np.concatenate([part.spreads for part in parts]),
        np.concatenate([part.tensors for part in parts]),
        (0.0, 0.0, 0.0),
        np.array(rows, np.int32),
        centres,
    )
    wholes = [one.invariants.whole for one in bodies]
    low, middle, high = wholes[0].moments
    whole = BodyInvariants(
        volume=sum(one.volume for one in wholes),
        area=sum(one.area for one in wholes),
        moments=(low, middle, high + 5_000.0),
    )
    distinct = tuple(
        msgspec.structs.replace(wholes[rows.index(row)], count=rows.count(row)) for row in sorted(set(rows))
    )
    return Body(features, Invariants(whole, distinct))


def content(one: Body, name: str, *, form: str = "step") -> Content:
    """What the catalogue keeps of a body; its name makes its hash."""
    document = CadDocument(format=form, surface_count=6, bounding_box=BOX, invariants=one.invariants)
    return Content(
        sha256=hashlib.sha256(name.encode()).hexdigest(),
        size=1000,
        format=form,
        adapter_version="1",
        document=document,
        features=encode_features(one.features),
    )


def part(one: Body, name: str, **facts: str) -> NewPart:
    """A part at a path of its name."""
    return NewPart(id=name, path=f"/parts/{name}.step", content=content(one, name), **facts)  # type: ignore[arg-type]


def planted(kind: str, one: Body, generator: np.random.Generator) -> Body:
    """A copy of a body of one of the kinds."""
    if kind == "scaled":
        return scaled(moved(one, generator), float(generator.uniform(1.5, 4.0)))
    if kind == "multiple":
        return several([one, one, one], [0, 0, 0])
    if kind == "contains":
        return several([one, body(generator)], [0, 1])
    return moved(one, generator, mirror=kind == "mirrored")


def library(count: int, share: float, seed: int = 0) -> Iterator[tuple[NewPart, tuple[str, str] | None]]:
    """Yield so many parts, of which a share are copies, each with the id and kind of what it is a copy of."""
    generator = np.random.default_rng(seed)
    kept: list[tuple[str, Body]] = []
    for number in range(count):
        name = f"p{seed}-{number:06d}"
        if kept and generator.random() < share:
            original, source = kept.pop()
            kind = PLANTED[number % len(PLANTED)]
            yield part(planted(kind, source, generator), name), (original, kind)
            continue
        one = body(generator)
        if len(kept) < 100:
            kept.append((name, one))
        yield part(one, name), None
