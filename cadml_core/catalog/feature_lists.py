"""Reading the exact features of stored contents."""

from __future__ import annotations

from collections.abc import Iterable

from cadml_core.catalog.store import Catalog
from cadml_core.documents.feature_list import FeatureList, decode_features


def feature_lists(catalog: Catalog, hashes: Iterable[str]) -> dict[str, FeatureList]:
    """Return the features of those of these contents, by sha256, that have a list."""
    query = "SELECT sha256, packed FROM feature_lists WHERE sha256 IN"
    found = catalog.database.fetch_in(query, set(hashes))
    return {sha256: decode_features(bytes(packed)) for sha256, packed in found}
