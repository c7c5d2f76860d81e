"""Damage that the database does not notice: what was stored is not what is there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from cadml_core.catalog.blobs import BlobStore
from cadml_core.catalog.packing import content_checksum, is_sound
from cadml_core.catalog.store import Catalog
from cadml_core.documents.document import decode_summary
from cadml_core.errors import CadmlError

_CONTENTS = (
    "SELECT sha256, size, format, adapter_version, summary, unit, extent_1, extent_2, extent_3, checksum"
    " FROM contents WHERE sha256 > ? ORDER BY sha256 LIMIT ?"
)
_VECTORS = "SELECT part, version, raw FROM vectors WHERE version = ? AND part > ? ORDER BY part LIMIT ?"
_BLOCK = 2_048


class Damage(NamedTuple):
    """Something that is not what was written."""

    what: str
    """``database``, ``content``, ``vector`` or ``upload``."""
    name: str
    """The sha256 of a content or upload; the id of a part and the version of its vector."""
    reason: str


def damages(catalog: Catalog, blobs: BlobStore) -> Iterator[Damage]:
    """Look at everything that is stored; yield what is damaged.

    Rows that an older version wrote have no checksum: of them only what cannot be read at all is found. What
    people have said of a part (name, material, project, label) has none either.
    """
    if catalog.database.sqlite:
        for [told] in catalog.database.fetch("PRAGMA integrity_check"):
            if told != "ok":
                yield Damage("database", catalog.database.shown, told)
    yield from _contents(catalog, blobs)
    for [version] in catalog.database.fetch("SELECT DISTINCT version FROM vectors"):
        yield from _vectors(catalog, version)


def _contents(catalog: Catalog, blobs: BlobStore) -> Iterator[Damage]:
    after = ""
    while records := catalog.database.fetch(_CONTENTS, (after, _BLOCK)):
        for *columns, checksum in records:
            sha256, summary = columns[0], columns[4]
            if checksum is not None and content_checksum(columns) != checksum:
                yield Damage("content", sha256, "what was found in the file is not what was written")
            elif not _is_summary(summary):
                yield Damage("content", sha256, "what was found in the file cannot be read")
            path = blobs.path(sha256)
            if path.is_file():
                with path.open("rb") as file:
                    if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                        yield Damage("upload", sha256, "the file that was kept has changed")
        after = records[-1][0]


def _is_summary(summary: str) -> bool:
    try:
        decode_summary(summary)
    except (CadmlError, msgspec.DecodeError):
        return False
    return True


def _vectors(catalog: Catalog, version: str) -> Iterator[Damage]:
    after = 0
    while records := catalog.database.fetch(_VECTORS, (version, after, _BLOCK)):
        bad = [part for part, _, raw in records if not is_sound(bytes(raw))]
        names = dict(catalog.database.fetch_in("SELECT row, id FROM parts WHERE row IN", bad))
        for part in bad:
            name = names.get(part, f"of row {part}")
            yield Damage("vector", f"{name} {version}", "the values are not those that were written")
        after = records[-1][0]
