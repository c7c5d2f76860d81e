"""What ``/parts`` answers."""

from __future__ import annotations

from typing import Any

import msgspec

from cadml_core.catalog.records import Part
from cadml_core.catalog.store import Catalog
from cadml_hostapp.routes.analyze.schemas import DocumentAnswer, document_answer


class PartAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the catalogue."""

    id: str
    name: str
    sha256: str | None
    format: str | None
    path: str | None
    material: str | None
    project: str | None
    label: str | None
    meta: dict[str, Any]
    created: str
    updated: str


_PART_FIELDS = PartAnswer.__struct_fields__


def part_answer(part: Part) -> PartAnswer:
    """Show a part without its row number."""
    return PartAnswer(**{field: getattr(part, field) for field in _PART_FIELDS})


class PartDetail(PartAnswer, frozen=True, kw_only=True):
    """A part, what its file holds, and the feature versions it has."""

    document: DocumentAnswer | None
    """None where a vector was registered without a file."""
    warnings: tuple[str, ...]
    vectors: dict[str, str]
    """Feature version -> where its vector comes from: extracted, registered, migrated."""


def detail_of(catalog: Catalog, part_id: str) -> PartDetail:
    """Show everything about the part of this id.

    Raises:
        NotFound: There is no such part.
    """
    part = catalog.part(part_id)
    content = catalog.contents([part.sha256]).get(part.sha256) if part.sha256 else None
    vectors = catalog.vectors_of([part.row]).get(part.row, {})
    return PartDetail(
        **{field: getattr(part, field) for field in _PART_FIELDS},
        document=document_answer(content.document) if content else None,
        warnings=content.document.warnings if content else (),
        vectors={version: vector.source for version, vector in sorted(vectors.items())},
    )


class PartPage(msgspec.Struct, frozen=True):
    """One page of parts."""

    items: list[PartAnswer]
    next_cursor: str | None
    """Give it as ``cursor`` for the next page; None on the last."""
