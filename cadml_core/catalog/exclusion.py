"""A lock across all processes on one catalogue; it ends with the process that holds it."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from cadml_core.catalog.engine import ADVISORY_LOCK, Database


@contextmanager
def exclusive(database: Database, name: str) -> Iterator[bool]:
    """Try to hold the lock of this name; yields whether it is held. Never waits.

    PostgreSQL has locks that end with their connection. Beside a SQLite file, which has none, lies
    another that is only ever locked: the operating system lets go of it when the process ends,
    however it ends.
    """
    lock = _sqlite_lock if database.sqlite else _server_lock
    with lock(database, name) as held:
        yield held


@contextmanager
def _sqlite_lock(database: Database, name: str) -> Iterator[bool]:
    [path] = [row[2] for row in database.fetch("PRAGMA database_list") if row[1] == "main"]
    with database.translate():
        connection = _lock_file(f"{path}-{name}")
    if connection is None:
        yield False
        return
    with closing(connection):
        yield True


def _lock_file(path: str) -> sqlite3.Connection | None:
    """Open and lock a database that is only ever locked; None where another holds it."""
    try:
        connection = sqlite3.connect(path, timeout=0.0, isolation_level=None, check_same_thread=False)
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        if "locked" in str(error):
            return None
        raise DBAPIError("BEGIN EXCLUSIVE", None, error) from error
    return connection


@contextmanager
def _server_lock(database: Database, name: str) -> Iterator[bool]:
    key = ADVISORY_LOCK ^ zlib.crc32(name.encode())
    with database.translate(), database.engine.connect() as connection:
        held = connection.execute(sa.select(sa.func.pg_try_advisory_lock(key))).scalar_one()
        connection.commit()
        try:
            yield bool(held)
        finally:
            if held:
                connection.execute(sa.select(sa.func.pg_advisory_unlock(key)))
                connection.commit()
