"""How many parts and vectors a catalogue holds."""

from __future__ import annotations

from typing import Literal

from cadml_core.catalog.store import Catalog


def count_parts(catalog: Catalog, by: Literal["format", "material", "project", "label"]) -> dict[str, int]:
    """Return how many parts have each value; those without one count under the empty name."""
    column = f"coalesce({'c' if by == 'format' else 'p'}.{by}, '')"
    found = catalog.database.fetch(
        f"SELECT {column}, count(*) FROM parts p LEFT JOIN contents c ON c.sha256 = p.sha256"
        f" GROUP BY {column} ORDER BY 1"
    )
    return dict(found)


def count_vectors(catalog: Catalog) -> dict[str, int]:
    """Return how many vectors there are of each feature version."""
    found = catalog.database.fetch("SELECT version, count(*) FROM vectors GROUP BY version ORDER BY version")
    return dict(found)


def count_without(catalog: Catalog, version: str) -> int:
    """Return how many parts have no vector of a feature version."""
    [(parts,)] = catalog.database.fetch("SELECT count(*) FROM parts")
    return int(parts) - count_vectors(catalog).get(version, 0)
