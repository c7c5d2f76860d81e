"""What the catalogue stores and answers: plain, frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from cadml_core.contracts.formats import UnitName
from cadml_core.documents.arrays import FloatVector
from cadml_core.documents.document import CadDocument
from cadml_core.documents.drawn import Drawn

VectorSource = Literal["extracted", "registered", "migrated"]
"""Read from a file, given by a caller, or moved by name from another feature version."""

Status = Literal["added", "replaced", "updated", "unchanged"]
"""What became of a part: new; its file content changed; the same content with new facts, vectors or
path; or nothing to do."""


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """One distinct file content, read once whatever the number of files that hold it."""

    sha256: str
    size: int
    """Bytes."""
    format: str
    """Name of the format adapter that read it."""
    adapter_version: str
    document: CadDocument
    features: bytes = b""
    """Its packed feature list, empty where it has none. Written with the content; ``Catalog.contents``
    leaves it out, ``cadml_core.catalog.feature_lists`` reads it."""
    pictures: tuple[Drawn, ...] = ()
    """What was drawn of it, written with the content; ``Catalog.contents`` leaves it out,
    ``cadml_core.catalog.pictures`` reads it."""
    unit: UnitName | None = None
    """What the sender has said of a file that states no unit; it holds for every part with this content."""


class ReadBy(NamedTuple):
    """How a content was read."""

    format: str
    """Name of the format adapter."""
    version: str
    """Of the format adapter."""
    unit: UnitName | None
    """That the sender has stated."""


class Vector(msgspec.Struct, frozen=True):
    """Raw values of one part under one feature version: float64 (number of slots,)."""

    values: FloatVector
    source: VectorSource = "extracted"


class Part(msgspec.Struct, frozen=True):
    """What people name and search."""

    row: int
    """Stable number, never used twice; the id that vector indexes know."""
    id: str
    name: str
    sha256: str | None
    """None where a vector was registered without a file."""
    format: str | None
    path: str | None
    """As ``cadml_core.catalog.paths`` writes it; None where it did not come from a file."""
    material: str | None
    project: str | None
    label: str | None
    meta: dict[str, Any]
    created: str
    """ISO 8601, UTC."""
    updated: str


class NewPart(msgspec.Struct, frozen=True, kw_only=True):
    """A part to add, or new facts about one that is there.

    A part is recognised by its ``id``, else by its ``path``; where neither is known it is new.
    Of a part that is there, a fact given as None is left as it is, and vectors are added to those
    it has. Without ``content`` and ``sha256`` its content is left as it is too; with another
    content than before, all its earlier vectors are dropped.
    """

    id: str | None = None
    """None: that of the part at ``path``, or one made up."""
    name: str | None = None
    """None, for a new part: the last component of its path, else its id."""
    path: str | None = None
    content: Content | None = None
    """Stored with the part, once for all parts that have it."""
    material: str | None = None
    project: str | None = None
    label: str | None = None
    meta: Mapping[str, Any] | None = None
    vectors: Mapping[str, Vector] = {}
    """By feature version."""


class Outcome(msgspec.Struct, frozen=True):
    """What became of one ``NewPart``; durable once the caller sees it."""

    row: int
    id: str
    status: Status


Bounds = tuple[float, float]
"""The least and the most, both included."""


class PartFilter(msgspec.Struct, frozen=True):
    """Which parts are meant: they meet every condition that is not None."""

    format: str | None = None
    """Exactly this, as the next three."""
    material: str | None = None
    project: str | None = None
    label: str | None = None
    text: str | None = None
    """Words that all occur in a part's name, path, facts, metadata, layers or product names; case and
    order do not count, and neither does where in a longer word they stand."""
    extents: tuple[Bounds, Bounds, Bounds] | None = None
    """Bounds of the bounding box's lengths in millimetres, the longest first. Parts without geometry,
    and those registered without a file, meet no bounds."""


class Change(msgspec.Struct, frozen=True):
    """One entry of the change log: the latest change of ``key`` among its ``kind``."""

    sequence: int
    kind: str
    """``part``: the part with row number ``key`` was added, changed or removed."""
    key: str
