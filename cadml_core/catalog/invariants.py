"""Reading what no motion changes of stored contents, and nothing else of their summaries."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from cadml_core.catalog.store import Catalog
from cadml_core.documents.invariants import Invariants


class _Summary(msgspec.Struct):
    """The one field of a document summary that is read; all others are passed over."""

    invariants: Invariants | None = None


_decode = msgspec.json.Decoder(_Summary).decode
_QUERY = "SELECT c.sha256, c.summary FROM contents c"


def invariants_of(catalog: Catalog, rows: Iterable[int] | None = None) -> dict[str, Invariants | None]:
    """Return the invariants of contents by sha256, None of those that enclose no volume.

    Args:
        catalog: Where they are.
        rows: Row numbers of the parts whose contents are wanted; all contents where None.
    """
    if rows is None:
        found = catalog.database.fetch(_QUERY)
    else:
        query = f"{_QUERY} JOIN parts p ON p.sha256 = c.sha256 WHERE p.row IN"
        found = catalog.database.fetch_in(query, map(int, rows))
    return {sha256: _decode(summary).invariants for sha256, summary in found}


def invariants_among(catalog: Catalog, hashes: Iterable[str]) -> dict[str, Invariants | None]:
    """Return the invariants of these contents, as ``invariants_of``; those that are gone are left out."""
    found = catalog.database.fetch_in(f"{_QUERY} WHERE c.sha256 IN", hashes)
    return {sha256: _decode(summary).invariants for sha256, summary in found}
