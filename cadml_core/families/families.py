"""Families of parts that are shaped alike, with names, sizes, and members that are filed elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePath

import msgspec
import numpy as np
from numpy.typing import NDArray

from cadml_core.catalog.records import Part
from cadml_core.catalog.store import Catalog
from cadml_core.contracts.features import FeatureVersion, comparable
from cadml_core.families.clusters import CUT, CUTS, Labels, best_cut, clusters, unrelated
from cadml_core.families.memory import FamilyMemory, numbered
from cadml_core.families.naming import sizes_of, words_of
from cadml_core.families.neighbours import Neighbours, neighbours

SMALLEST = 3
"""So many parts make a family."""
_ENOUGH = 40
"""Labelled parts, of at least three labels, from which the cut is fitted to them."""
_TYPICAL = 0.7
"""Share of a family that must have a label or folder for others to stand out."""
Progress = Callable[[int, int], None]


class FamilyMember(msgspec.Struct, frozen=True):
    """A part of a family."""

    id: str
    name: str
    path: str | None
    format: str | None
    label: str | None
    extents: tuple[float, ...] | None
    """Of the bounding box in mm, the longest first."""


class Outlier(msgspec.Struct, frozen=True):
    """A part that is shaped like others than those it is filed with."""

    part: str
    name: str
    path: str | None
    looks_like: str
    """Label or folder of most of its family."""
    filed_as: str
    by: str
    """``label`` or ``folder``."""
    share: float
    """Of the family that has the former."""


class Family(msgspec.Struct, frozen=True):
    """Parts that are shaped alike."""

    id: int
    """Kept from one clustering to the next."""
    name: str
    sizes: str | None
    """Their range."""
    size: int
    """Parts."""
    members: list[FamilyMember]
    """By size, the smallest first."""


class Families(msgspec.Struct, frozen=True):
    """The families of a catalogue."""

    feature_version: str
    cut: float
    """Over the median distance of unrelated parts."""
    fitted: float | None
    """V-measure on the labelled parts to which the cut was fitted; None where too few are labelled."""
    parts: int
    """With a vector of the version."""
    alone: int
    """In no family."""
    families: list[Family]
    """The largest first."""
    outliers: list[Outlier]


class Space(msgspec.Struct, frozen=True):
    """The parts of a catalogue in the space of a feature version."""

    parts: list[Part]
    vectors: NDArray[np.float32]
    near: Neighbours
    unit: float
    """Median distance of unrelated parts."""

    @classmethod
    def of(cls, catalog: Catalog, feature: FeatureVersion, progress: Progress | None = None) -> Space:
        """Read the vectors of all parts, and find the nearest neighbours of each."""
        rows, raw = catalog.vectors(feature.name)
        if len(rows):
            fits = comparable(feature, raw)
            rows, raw = rows[fits], raw[fits]
        vectors = np.asarray(feature.embed(raw), np.float32) if len(rows) else np.zeros((0, 1), np.float32)
        if feature.metric == "cosine":
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        known = catalog.parts_by_row(rows.tolist())
        there = [place for place, row in enumerate(rows.tolist()) if row in known]
        parts = [known[int(rows[place])] for place in there]
        chosen = np.ascontiguousarray(vectors[there])
        return cls(parts, chosen, neighbours(chosen, progress=progress), unrelated(chosen))

    def cut_at(self, cut: float) -> Labels:
        """Return the clusters for a cut over the unit."""
        return clusters(self.vectors, self.near, cut * self.unit)


def find_families(
    catalog: Catalog,
    feature: FeatureVersion,
    *,
    cut: float | None = None,
    smallest: int = SMALLEST,
    remember: bool = True,
    progress: Progress | None = None,
) -> Families:
    """Find the families of a catalogue.

    Args:
        catalog: The parts.
        feature: In whose space: those without a vector of it are left out.
        cut: Over the median distance of unrelated parts; where None fitted to the labels, or as it fits most.
        smallest: So many parts make a family.
        remember: Whether the next clustering keeps the numbers and names of this one.
        progress: Called with parts done and parts in all.
    """
    space = Space.of(catalog, feature, progress)
    fitted = None
    if cut is None:
        cut, fitted = _fitted(space)
    labels = space.cut_at(cut)
    members = [np.flatnonzero(labels == number).tolist() for number in _large(labels, smallest)]
    memory = FamilyMemory(catalog)
    named_before = memory.names()
    ids = [[space.parts[place].id for place in places] for places in members]
    numbers = numbered(ids, memory.members(), max(named_before, default=0))
    extents = _extents(catalog, space.parts)
    found = [
        _family(number, [space.parts[place] for place in places], extents, named_before.get(number))
        for number, places in zip(numbers, members, strict=True)
    ]
    if remember:
        fresh = {one.id: one.name for one in found if one.id not in named_before}
        memory.remember(dict(zip(numbers, ids, strict=True)), fresh)
    found.sort(key=lambda one: (-one.size, one.id))
    outliers = [
        outlier
        for number, places in zip(numbers, members, strict=True)
        for outlier in _outliers([space.parts[place] for place in places])
    ]
    total = len(space.parts)
    alone = total - sum(one.size for one in found)
    return Families(feature.name, cut, fitted, total, alone, found, outliers)


def _fitted(space: Space) -> tuple[float, float | None]:
    names = [part.label for part in space.parts]
    if sum(name is not None for name in names) < _ENOUGH or len(set(names) - {None}) < 3:
        return CUT, None
    numbers = {name: number for number, name in enumerate(sorted(set(filter(None, names))))}
    known = np.array([numbers[name] if name else -1 for name in names], np.int64)
    return best_cut(space.cut_at, known, CUTS)


def _large(labels: Labels, smallest: int) -> list[int]:
    counts = np.bincount(labels) if len(labels) else np.zeros(0, int)
    return [int(number) for number in np.flatnonzero(counts >= smallest)]


def _extents(catalog: Catalog, parts: Sequence[Part]) -> dict[str, tuple[float, ...]]:
    query = (
        "SELECT sha256, extent_1, extent_2, extent_3 FROM contents WHERE extent_1 IS NOT NULL AND sha256 IN"
    )
    hashes = {part.sha256 for part in parts if part.sha256}
    return {sha256: tuple(found) for sha256, *found in catalog.database.fetch_in(query, hashes)}


def _family(
    number: int, parts: Sequence[Part], extents: dict[str, tuple[float, ...]], name: str | None
) -> Family:
    known = [extents[part.sha256][0] for part in parts if part.sha256 in extents]
    members = [
        FamilyMember(part.id, part.name, part.path, part.format, part.label, extents.get(part.sha256 or ""))
        for part in parts
    ]
    members.sort(key=lambda one: (one.extents or (), one.name, one.id))
    called = name or words_of(parts) or f"like {PurePath(members[0].name).stem}"
    return Family(number, called, sizes_of(parts, known), len(parts), members)


def _outliers(parts: Sequence[Part]) -> list[Outlier]:
    """Return the parts of a family whose label, or else whose folder, most of the others do not have."""
    labels, folders = [part.label for part in parts], [_folder(part) for part in parts]
    for by, facts in (("label", labels), ("folder", folders)):
        counts = Counter(filter(None, facts))
        if not counts:
            continue
        typical, count = counts.most_common(1)[0]
        share = count / sum(counts.values())
        if share < _TYPICAL or sum(counts.values()) < 2 * SMALLEST:
            return []
        return [
            Outlier(part.id, part.name, part.path, typical, fact, by, round(share, 3))
            for part, fact in zip(parts, facts, strict=True)
            if fact is not None and fact != typical
        ]
    return []


def _folder(part: Part) -> str | None:
    return PurePath(part.path).parent.name or None if part.path else None
