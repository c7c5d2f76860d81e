"""What ``/parts`` answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from cadml_core.catalog.records import Part, Vector
from cadml_core.documents.document import CadDocument
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


def part_detail(part: Part, document: CadDocument | None, vectors: Mapping[str, Vector]) -> PartDetail:
    """Show everything about a part."""
    return PartDetail(
        **{field: getattr(part, field) for field in _PART_FIELDS},
        document=document_answer(document) if document else None,
        warnings=document.warnings if document else (),
        vectors={version: vector.source for version, vector in sorted(vectors.items())},
    )


class PartPage(msgspec.Struct, frozen=True):
    """One page of parts."""

    items: list[PartAnswer]
    next_cursor: str | None
    """Give it as ``cursor`` for the next page; None on the last."""
