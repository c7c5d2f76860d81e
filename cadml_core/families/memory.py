"""The families of the last clustering, so that the next gives them their numbers and names again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from cadml_core.catalog.engine import lock, upsert
from cadml_core.catalog.store import Catalog
from cadml_core.catalog.tables import family_members, family_names


class FamilyMemory:
    """Reads and writes the tables of families."""

    def __init__(self, catalog: Catalog) -> None:
        self._database = catalog.database

    def members(self) -> dict[str, int]:
        """Return the family of each part, by id."""
        return dict(self._database.fetch("SELECT part, family FROM family_members"))

    def names(self) -> dict[int, str]:
        """Return the name of every family that there ever was."""
        return dict(self._database.fetch("SELECT family, name FROM family_names"))

    def remember(self, found: Mapping[int, Sequence[str]], names: Mapping[int, str]) -> None:
        """Take families, by number, in the place of those before; names of all that were are kept."""
        rows = [(part, number) for number, parts in found.items() for part in parts]
        with self._database.write() as connection:
            lock(connection)
            connection.execute(sa.delete(family_members))
            if rows:
                upsert(connection, family_members, rows)
            if names:
                upsert(connection, family_names, list(names.items()))


def numbered(found: Sequence[Sequence[str]], before: Mapping[str, int], last: int) -> list[int]:
    """Give clusters the numbers of the families that most of their parts were in.

    Args:
        found: Ids of the parts of each cluster.
        before: The family of each part at the last clustering.
        last: The largest number that was ever given.

    Returns:
        A number for each cluster, each once. A family that was split keeps its number with the larger piece.
    """
    shared = [
        (count, -place, number)
        for place, parts in enumerate(found)
        for number, count in Counter(before[part] for part in parts if part in before).items()
    ]
    numbers: dict[int, int] = {}
    for _, negative, number in sorted(shared, reverse=True):
        if -negative not in numbers and number not in numbers.values():
            numbers[-negative] = number
    fresh = iter(range(last + 1, last + 1 + len(found)))
    return [numbers[place] if place in numbers else next(fresh) for place in range(len(found))]
