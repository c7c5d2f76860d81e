"""Reading the exact features of stored contents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from cadml_core.catalog.packing import require_sound
from cadml_core.catalog.records import ReadBy
from cadml_core.catalog.store import Catalog
from cadml_core.documents.document import CadDocument, decode_summary
from cadml_core.documents.feature_list import FeatureList, decode_features

_COMPARABLE = (
    "SELECT c.sha256, c.size, c.format, c.adapter_version, c.summary, c.unit,"
    " c.extent_1, c.extent_2, c.extent_3, c.checksum, f.packed"
    " FROM contents c LEFT JOIN feature_lists f ON f.sha256 = c.sha256 WHERE c.sha256 IN"
)
"""The columns of a content in the order of its table, as its checksum is of them."""


def feature_lists(catalog: Catalog, hashes: Iterable[str]) -> dict[str, FeatureList]:
    """Return the features of those of these contents, by sha256, that have a list."""
    query = "SELECT sha256, packed FROM feature_lists WHERE sha256 IN"
    found = catalog.database.fetch_in(query, set(hashes))
    return {sha256: decode_features(bytes(packed)) for sha256, packed in found}


class Comparable(NamedTuple):
    """What of a stored content is compared with others."""

    sha256: str
    read_by: ReadBy
    document: CadDocument
    """The summary."""
    features: FeatureList | None


def comparable(catalog: Catalog, hashes: Iterable[str]) -> list[Comparable]:
    """Return those of these contents that are stored.

    Raises:
        CatalogueUnavailable: One is not what was written.
    """
    found = []
    for *columns, checksum, packed in catalog.database.fetch_in(_COMPARABLE, set(hashes)):
        require_sound(columns, checksum)
        sha256, _, form, version, summary, unit, *_ = columns
        features = None if packed is None else decode_features(bytes(packed))
        found.append(Comparable(sha256, ReadBy(form, version, unit), decode_summary(summary), features))
    return found
