"""Reading the exact features of stored contents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from cadml_core.catalog.records import ReadBy
from cadml_core.catalog.store import Catalog
from cadml_core.documents.document import CadDocument, decode_summary
from cadml_core.documents.feature_list import FeatureList, decode_features


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
    """Return those of these contents that are stored."""
    query = (
        "SELECT c.sha256, c.format, c.adapter_version, c.unit, c.summary, f.packed FROM contents c"
        " LEFT JOIN feature_lists f ON f.sha256 = c.sha256 WHERE c.sha256 IN"
    )
    return [
        Comparable(
            sha256,
            ReadBy(*how),
            decode_summary(summary),
            None if packed is None else decode_features(bytes(packed)),
        )
        for sha256, *how, summary, packed in catalog.database.fetch_in(query, set(hashes))
    ]
