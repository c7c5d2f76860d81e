"""Reading every vector of a feature version in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

from cadml_core.catalog.packing import matrix
from cadml_core.catalog.store import Catalog
from cadml_core.documents.arrays import FloatMatrix, Int64Array

_BLOCK = 2_048


def vector_blocks(catalog: Catalog, version: str) -> Iterator[tuple[Int64Array, FloatMatrix]]:
    """Yield row numbers, ascending, and raw values, as ``Catalog.vectors`` returns them, block by block.

    What is written meanwhile may be among them or not.
    """
    query = "SELECT part, raw FROM vectors WHERE version = ? AND part > ? ORDER BY part LIMIT ?"
    after = 0
    while records := catalog.database.fetch(query, (version, after, _BLOCK)):
        yield matrix(version, records)
        after = records[-1][0]
