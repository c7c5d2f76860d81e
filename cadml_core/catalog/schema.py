"""Create the tables, bring older ones forward, and refuse those of a newer cadml."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from cadml_core.catalog.engine import ADVISORY_LOCK, Database
from cadml_core.errors import CatalogueUnavailable

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0011")
"""Every schema revision, oldest first; the files are in ``migrations/versions``."""


def prepare(database: Database) -> None:
    """Bring the schema to the newest revision; one look where it is there already.

    Raises:
        CatalogueUnavailable: The schema was written by a newer cadml, or the database cannot be used.
    """
    with database.read() as connection:
        found = _revision(connection)
    if found == REVISIONS[-1]:
        return
    _refuse_newer(found, database)
    if database.sqlite:
        _write_ahead(database)
    with database.write() as connection:
        if not database.sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ADVISORY_LOCK)))
        if _revision(connection) != REVISIONS[-1]:  # another process may have been faster
            _upgrade(connection)


def _revision(connection: Connection) -> str | None:
    """Return the revision the database has, None where it has none yet."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def _refuse_newer(found: str | None, database: Database) -> None:
    if found is not None and found not in REVISIONS:
        raise CatalogueUnavailable(
            f"the catalogue {database.shown} has schema {found}, this cadml knows up to {REVISIONS[-1]};"
            " it was written by a newer cadml: upgrade this one (pip install --upgrade cadml)",
            found=found,
            known=REVISIONS[-1],
        )


def _write_ahead(database: Database) -> None:
    """Let readers go on while one process writes; SQLite remembers this in the file."""
    raw = database.engine.raw_connection()
    try:
        with database.translate():
            raw.cursor().execute("PRAGMA journal_mode = WAL")
    finally:
        raw.close()


def _upgrade(connection: Connection) -> None:
    # Alembic costs a third of a second to import; a catalogue that is up to date never needs it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
