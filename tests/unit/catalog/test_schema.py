"""Schemas are created once, brought forward, never backward."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from cadml_core.catalog import schema, tables
from cadml_core.catalog.engine import parse_url
from cadml_core.catalog.store import Catalog
from cadml_core.errors import CatalogueUnavailable


def is_ours(name: str | None, _kind: str, _parents: object) -> bool:
    """Tell the tables from the index of trigrams, which depends on what the database can do."""
    return "trigrams" not in (name or "")


def test_the_migrations_make_the_tables(database_url: str) -> None:
    """What the revisions create is what the code's tables say, with nothing forgotten."""
    Catalog.open(database_url).close()
    engine = sa.create_engine(parse_url(database_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": is_ours})
        assert compare_metadata(context, tables.metadata) == []
        found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    engine.dispose()
    assert found == schema.REVISIONS[-1]


def test_every_revision_is_listed() -> None:
    """The list that decides what is old and what is new knows every file, in order."""
    folder = Path(schema.__file__).parent / "migrations" / "versions"
    assert tuple(sorted(path.name[:4] for path in folder.glob("*.py"))) == schema.REVISIONS


def test_a_newer_schema_is_refused(database_url: str) -> None:
    """A catalogue of a newer cadml is not touched, and the message says to upgrade."""
    Catalog.open(database_url).close()
    engine = sa.create_engine(parse_url(database_url))
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(CatalogueUnavailable, match="newer cadml: upgrade"):
        Catalog.open(database_url)
    engine.dispose()


CREATORS = """
import multiprocessing, sys
from cadml_core.catalog.records import NewPart
from cadml_core.catalog.store import Catalog

def create(name):
    with Catalog.open(sys.argv[1]) as catalog:
        catalog.add([NewPart(id=name)])

context = multiprocessing.get_context("fork")
workers = [context.Process(target=create, args=(f"p{number}",)) for number in range(3)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join(60)
sys.exit(any(worker.exitcode != 0 for worker in workers))
"""
"""Three processes that are forked when all is imported, so that they begin within a millisecond."""


def test_many_processes_may_create_it_at_once(database_url: str) -> None:
    """Whoever comes first makes the tables, the others wait; nobody fails, nothing is lost."""
    subprocess.run([sys.executable, "-c", CREATORS, database_url], check=True, timeout=120)
    with Catalog.open(database_url) as catalog:
        assert {part.id for part in catalog.parts()} == {"p0", "p1", "p2"}
