"""The answer to what one part is to another, and what it is asked of."""

from __future__ import annotations

from typing import Literal

import msgspec

from cadml_core.documents.document import CadDocument
from cadml_core.documents.feature_list import FeatureList

RULES = 1
"""Raised when two parts may be judged otherwise than before, so that remembered pairs are judged again."""
Kind = Literal[
    "identical",
    "same",
    "mirrored",
    "scaled",
    "multiple",
    "contains",
    "part_of",
    "same_within_mesh_error",
    "variant",
    "similar",
]
Evidence = Literal["bytes", "features", "features_relaxed", "mesh", "invariants", "none"]
"""Equal bytes; congruent features; congruent features whose types differ; the deviation of meshes both ways;
equal volume, area and moments, which prove nothing; nothing."""
CERTIFIED: frozenset[Kind] = frozenset(
    {"identical", "same", "mirrored", "scaled", "multiple", "contains", "part_of"}
)
"""Kinds that are only ever stated with a proof: by bytes, congruence or verified meshes."""
Quantity = Literal["volume", "area", "length", "width", "thickness", "hole", "diameter", "faces"]


class Subject(msgspec.Struct, frozen=True):
    """A part to compare."""

    sha256: str
    document: CadDocument
    """The summary is enough."""
    features: FeatureList | None = None
    """Its exact features; None for a mesh, and where there are too many."""


class Difference(msgspec.Struct, frozen=True):
    """One quantity in which a variant differs."""

    quantity: Quantity
    a: float
    """Of the first part: mm, mm², mm³ or a count."""
    b: float
    at: float | None = None
    """Diameter in mm of the holes that are counted."""


class Relation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the second part is to the first."""

    kind: Kind
    evidence: Evidence
    tolerance_mm: float | None = None
    """The parts agree within it; None where nothing was compared in place."""
    deviation_mm: float | None = None
    """The largest deviation that was found."""
    scale: float | None = None
    """How many times larger the second part is."""
    mirrored: bool = False
    """Whether a scaled or contained part is a mirror image."""
    count: int | None = None
    """How many copies a multiple, a container or a whole has."""
    motion: tuple[tuple[float, ...], ...] | None = None
    """4 x 4, from places of the first part to those of the second, in mm; improper for a mirror image."""
    differences: tuple[Difference, ...] = ()
    candidate: Kind | None = None
    """What it may be as well: that is undecided, for ``reason``."""
    reason: str | None = None

    @property
    def certified(self) -> bool:
        """Whether the kind is proved; nothing else may score 1."""
        return self.kind in CERTIFIED
