"""What every writing transaction shares: the lock, the change log, and rows in bulk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, registry, sqlite
from sqlalchemy.engine import Connection, Dialect

from cadml_core.catalog.tables import changes, counters

PART = "part"
"""The kind of change that says: the part with this row number was added, changed or removed."""
CHUNK = 5_000
"""Most values of one IN list; SQLite takes 32,766 parameters, PostgreSQL 65,535."""
_BY_POSITION: dict[str, Dialect] = {
    "sqlite": registry.load("sqlite")(paramstyle="qmark"),
    "postgresql": registry.load("postgresql.psycopg")(paramstyle="format"),
}


# Statements are built once, here and where they are used: building one takes several times as long as
# the database needs for the few rows of one part.
_LOCK = sa.select(counters.c.change, counters.c.part).with_for_update()
_COUNT = counters.update().values(change=sa.bindparam("last_change"), part=sa.bindparam("last_part"))


class Counters(msgspec.Struct):
    """The last change number and the last row number in use."""

    change: int
    part: int


def lock(connection: Connection) -> Counters:
    """Take the lock that all writers share, and the numbers it guards.

    Held until the transaction ends, so numbers are committed in their own order: a follower that
    has seen change n will never meet a later commit that is numbered below n.
    """
    return Counters(*connection.execute(_LOCK).one())


def log_changes(connection: Connection, numbers: Counters, keys: Iterable[str], kind: str = PART) -> None:
    """Give each key a change number, and write the counters back."""
    rows = [(kind, key, sequence) for sequence, key in enumerate(keys, numbers.change + 1)]
    if rows:
        numbers.change += len(rows)
        upsert(connection, changes, rows)
        connection.execute(_COUNT, {"last_change": numbers.change, "last_part": numbers.part})


def upsert(connection: Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows, each with every column in the table's order; one whose primary key is there already
    takes its place.

    The statement is compiled here and handed to the driver as it is: for thousands of rows SQLAlchemy
    would spend more time on their parameters than the database on the rows.
    """
    connection.exec_driver_sql(_upsert_statement(table, connection.dialect.name), list(rows))


@lru_cache(maxsize=32)
def _upsert_statement(table: sa.Table, dialect: str) -> str:
    """Its parameters go by position, as both drivers can take them."""
    insert = (sqlite if dialect == "sqlite" else postgresql).insert(table)
    replace = insert.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={column.name: insert.excluded[column.name] for column in table.c if not column.primary_key},
    )
    return str(replace.compile(dialect=_BY_POSITION[dialect]))


def among(column: sa.Column[Any]) -> sa.ColumnElement[bool]:
    """A condition that a column has one of the values given to ``select_among`` or ``delete_among``."""
    return column.in_(sa.bindparam("among", expanding=True))


def select_among(connection: Connection, query: sa.Select[Any], values: Iterable[Any]) -> list[Any]:
    """Run a query that has the condition ``among`` for these values, however many they are."""
    wanted = list(values)
    found: list[Any] = []
    for start in range(0, len(wanted), CHUNK):
        found += connection.execute(query, {"among": wanted[start : start + CHUNK]}).all()
    return found


def delete_among(connection: Connection, statement: sa.Delete, values: Iterable[Any]) -> None:
    """Run a deletion that has the condition ``among`` for these values, however many they are."""
    wanted = sorted(values)
    for start in range(0, len(wanted), CHUNK):
        connection.execute(statement, {"among": wanted[start : start + CHUNK]})
