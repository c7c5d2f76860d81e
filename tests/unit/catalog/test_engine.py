"""Databases that cannot be used say so, say what to do, and are left as they were."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from cadml_core.catalog.records import NewPart, Vector
from cadml_core.catalog.store import Catalog
from cadml_core.errors import CatalogueUnavailable, InvalidSetting


def many(start: int, count: int) -> list[NewPart]:
    """Parts with a vector each."""
    return [NewPart(id=f"p{i}", vectors={"v4": Vector(np.arange(24.0))}) for i in range(start, start + count)]


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://host/db", "sqlite://", "sqlite:///:memory:", "oracle://u:secret@h/d"]
)
def test_impossible_urls_are_refused(url: str) -> None:
    """The message shows what is allowed and never a password."""
    with pytest.raises(InvalidSetting, match="allowed: sqlite:") as caught:
        Catalog.open(url)
    assert "secret" not in str(caught.value)


def test_an_unreachable_server_is_unavailable() -> None:
    """A server that does not answer is no crash; the password is not shown."""
    pytest.importorskip("psycopg")
    with pytest.raises(CatalogueUnavailable, match="server runs") as caught:
        Catalog.open("postgresql://user:secret@127.0.0.1:1/nothing")
    assert "secret" not in str(caught.value) + str(caught.value.context)


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    """A file of something else is refused and not touched."""
    path = tmp_path / "catalogue.sqlite3"
    path.write_bytes(b"ISO-10303-21;" * 1000)
    with pytest.raises(CatalogueUnavailable, match="damaged or no cadml catalogue"):
        Catalog.open(f"sqlite:///{path}")
    assert path.read_bytes() == b"ISO-10303-21;" * 1000


def test_a_damaged_database_is_unavailable(tmp_path: Path, sqlite_url: str) -> None:
    """Pages overwritten with noise are reported as damage by what meets them."""
    with Catalog.open(sqlite_url) as catalog:
        catalog.add(many(0, 2000))
    path = tmp_path / "catalogue.sqlite3"
    data = bytearray(path.read_bytes())
    data[8192:-4096] = np.random.default_rng(0).bytes(len(data) - 8192 - 4096)
    path.write_bytes(data)
    with pytest.raises(CatalogueUnavailable, match="damaged"), Catalog.open(sqlite_url) as catalog:
        catalog.vectors("v4")


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    """The message names the folder and the settings that choose another."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CatalogueUnavailable, match="CADML_DATA_DIR"):
        Catalog.open(f"sqlite:///{tmp_path / 'file' / 'catalogue.sqlite3'}")


def test_a_locked_database_is_unavailable_after_the_wait(sqlite_url: str) -> None:
    """While another process writes for too long, writing fails cleanly and reading goes on."""
    with Catalog.open(sqlite_url, lock_timeout=0.05) as catalog:
        catalog.add(many(0, 1))
        other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(CatalogueUnavailable, match="another process"):
            catalog.add(many(1, 1))
        assert [part.id for part in catalog.parts()] == ["p0"]
        other.execute("ROLLBACK")
        other.close()
        catalog.add(many(1, 1))
        assert [part.id for part in catalog.parts()] == ["p0", "p1"]


@pytest.mark.postgres
def test_a_locked_server_is_unavailable_after_the_wait(postgres_url: str) -> None:
    """The same on PostgreSQL, where the counters row is what a writer waits for."""
    with Catalog.open(postgres_url, lock_timeout=0.2) as catalog:
        engine = sa.create_engine(postgres_url)
        with engine.begin() as other:
            other.execute(sa.text("SELECT * FROM counters FOR UPDATE"))
            with pytest.raises(CatalogueUnavailable, match="another process"):
                catalog.add(many(0, 1))
        engine.dispose()
        catalog.add(many(0, 1))


@pytest.mark.postgres
def test_a_server_that_comes_back_is_used_again(postgres_url: str) -> None:
    """A lost connection costs one error, not the process."""
    with Catalog.open(postgres_url) as catalog:
        catalog.add(many(0, 1))
        catalog.parts()
        engine = sa.create_engine(postgres_url)
        with engine.begin() as other:
            other.execute(
                sa.text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        engine.dispose()
        with pytest.raises(CatalogueUnavailable):
            catalog.parts()
        assert [part.id for part in catalog.parts()] == ["p0"]
        catalog.add(many(1, 1))


def test_a_read_only_database_can_be_read(tmp_path: Path, sqlite_url: str) -> None:
    """Opened read-only, it answers questions and refuses changes with what to do."""
    with Catalog.open(sqlite_url) as catalog:
        catalog.add(many(0, 1))
    url = f"sqlite:///file:{tmp_path / 'catalogue.sqlite3'}?mode=ro&uri=true"
    with Catalog.open(url) as catalog:
        assert len(catalog.parts()) == 1
        with pytest.raises(CatalogueUnavailable, match="writable"):
            catalog.add(many(1, 1))


def test_a_full_disk_stores_nothing_by_halves(tmp_path: Path, sqlite_url: str) -> None:
    """When the disk fills within a batch, none of it is there; with space again, the same batch works."""
    script = textwrap.dedent(
        """
        import resource, sys
        import numpy as np
        from cadml_core.catalog.records import NewPart, Vector
        from cadml_core.catalog.store import Catalog
        from cadml_core.errors import CatalogueUnavailable

        catalog = Catalog.open(sys.argv[1])
        batch = [NewPart(id=f"p{i}", vectors={"v4": Vector(np.arange(24.0))}) for i in range(5000)]
        catalog.add(batch[:10])
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
        try:
            catalog.add(batch)
        except CatalogueUnavailable as error:
            print(error.code, len(catalog.parts()), error.message)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        catalog.add(batch)
        print(len(catalog.parts()), len(catalog.vectors("v4")[0]))
        """
    )
    run = subprocess.run(
        [sys.executable, "-c", script, sqlite_url], capture_output=True, text=True, timeout=60, check=True
    )
    first, second = run.stdout.splitlines()
    assert first.startswith("CATALOGUE_UNAVAILABLE 10 ")
    assert "full" in first
    assert second == "5000 5000"
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def open_databases() -> int:
    """How many times this process has the catalogue's file open."""
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("this system does not tell which files are open")
    return sum(
        entry.is_symlink() and entry.readlink().name.startswith("catalogue.sqlite3")
        for entry in folder.iterdir()
    )


def test_readers_end_with_their_threads(sqlite_url: str) -> None:
    """Every thread reads through a connection of its own, which ends with it; closing ends the rest."""
    catalog = Catalog.open(sqlite_url)
    catalog.last_change()
    before = open_databases()
    for _ in range(20):
        thread = threading.Thread(target=catalog.last_change)
        thread.start()
        thread.join()
    # SQLite keeps one descriptor in reserve while others hold locks on the same file.
    assert open_databases() <= before + 1
    catalog.close()
    assert open_databases() == 0


def test_a_removed_file_takes_no_more_writes(tmp_path: Path) -> None:
    """What is written to a file without a name would be lost at the end of the process: it is refused."""
    path = tmp_path / "folder" / "c.sqlite3"
    with Catalog.open(f"sqlite:///{path}") as catalog:
        catalog.require_available()
        catalog.add([NewPart(id="before")])
        elsewhere = path.with_name("kept.sqlite3")
        path.rename(elsewhere)
        with pytest.raises(CatalogueUnavailable, match="removed or replaced"):
            catalog.add([NewPart(id="lost")])
        with pytest.raises(CatalogueUnavailable, match="removed or replaced"):
            catalog.require_available()
        assert not path.exists()
        elsewhere.rename(path)
        catalog.require_available()
        catalog.add([NewPart(id="after")])
        assert {part.id for part in catalog.parts()} == {"before", "after"}
