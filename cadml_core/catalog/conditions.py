"""Filters of parts as SQL: equal facts, words in their text, extents within bounds."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from cadml_core.catalog.engine import Database
from cadml_core.catalog.records import PartFilter
from cadml_core.catalog.text import condition, words_of

_EQUAL = {
    "format": "c.format",
    "material": "p.material",
    "project": "p.project",
    "label": "p.label",
}
_EXTENTS = (
    "p.sha256 IN (SELECT sha256 FROM contents WHERE extent_1 BETWEEN ? AND ?"
    " AND extent_2 BETWEEN ? AND ? AND extent_3 BETWEEN ? AND ?)"
)


class Conditions:
    """Writes conditions for one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sql(self, which: PartFilter | None) -> tuple[str, tuple[Any, ...]]:
        """Return a filter as SQL over ``p`` (parts) and ``c`` (contents), and its values."""
        clauses: list[str] = ["1 = 1"]
        values: list[Any] = []
        for field, column in _EQUAL.items() if which else ():
            if (value := getattr(which, field)) is not None:
                clauses.append(f"{column} = ?")
                values.append(value)
        if which and which.text and (words := words_of(which.text)):
            clause, found = condition(words, sqlite=self._database.sqlite, trigrams=self._trigrams)
            clauses.append(clause)
            values += found
        if which and which.extents:
            clauses.append(_EXTENTS)
            values += [bound for bounds in which.extents for bound in bounds]
        return " AND ".join(clauses), tuple(values)

    @cached_property
    def _trigrams(self) -> bool:
        """Whether this SQLite file has the table; it was made where the library could make it."""
        query = "SELECT 1 FROM sqlite_master WHERE name = 'part_trigrams'"
        return self._database.sqlite and bool(self._database.fetch(query))
