"""Connections to the database, and what its transactions share: the lock, the change log, rows in bulk."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, registry, sqlite
from sqlalchemy.engine import URL, Connection, Dialect, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from cadml_core.catalog.failures import unavailable
from cadml_core.catalog.tables import changes, counters
from cadml_core.errors import CatalogueUnavailable, InvalidInput, InvalidSetting
from cadml_core.private_files import private_file, private_folder

ADVISORY_LOCK = 0x6361646D6C  # "cadml"; held while the schema is created or upgraded
_WRITE = "cadml_write"
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


def parse_url(text: str) -> URL:
    """Read a database URL and choose the driver.

    Raises:
        InvalidSetting: It is no URL, or names a database other than SQLite (a file) or PostgreSQL.
    """
    allowed = "sqlite:////folder/catalogue.sqlite3 or postgresql://user:password@host/database"
    try:
        url = sa.make_url(text)
    except ArgumentError:
        raise InvalidSetting(f"CADML_DATABASE_URL is not a database URL; allowed: {allowed}") from None
    shown = url.render_as_string(hide_password=True)
    kind = url.get_backend_name()
    if kind in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if kind == "sqlite" and url.database and url.database != ":memory:":
        return url.set(drivername="sqlite+pysqlite")
    raise InvalidSetting(f"CADML_DATABASE_URL={shown} is not possible; allowed: {allowed}", value=shown)


def storable(text: str) -> bool:
    """Tell whether every database takes this text: no NUL, no lone surrogate."""
    if "\0" in text:
        return False
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


class Database:
    """An engine, its transactions, and one raw reading connection per thread."""

    def __init__(self, url: URL, *, lock_timeout: float) -> None:
        self.url = url
        self.sqlite = url.get_backend_name() == "sqlite"
        self._local = threading.local()
        self._readers: weakref.WeakSet[_Reader] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._closed = False
        self._opened_file: tuple[int, int] | None = None
        """Identity of the SQLite file that is in use; None for another database."""
        try:
            self.engine = self._create(lock_timeout)
        except (ModuleNotFoundError, NoSuchModuleError) as error:
            raise InvalidSetting(
                f"{self.shown} needs the PostgreSQL driver: pip install 'cadml[postgres]' ({error})"
            ) from error

    def _create(self, lock_timeout: float) -> Engine:
        if self.sqlite:
            _make_folder(self.url)
            engine = sa.create_engine(
                self.url, max_overflow=-1, connect_args={"timeout": lock_timeout, "check_same_thread": False}
            )
            sa.event.listen(engine, "connect", self._sqlite_connect(lock_timeout))
            sa.event.listen(engine, "begin", _sqlite_begin)
            return engine
        milliseconds = int(lock_timeout * 1000)
        return sa.create_engine(
            self.url,
            max_overflow=-1,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10, "options": f"-c lock_timeout={milliseconds}"},
        )

    def _sqlite_connect(self, lock_timeout: float) -> Callable[[Any, Any], None]:
        def connect(connection: Any, _record: Any) -> None:
            self.require_file()  # before SQLite makes an empty one
            connection.isolation_level = None  # the driver must not begin transactions of its own
            for pragma in (
                f"busy_timeout = {int(lock_timeout * 1000)}",
                "foreign_keys = ON",
                "synchronous = FULL",
            ):
                connection.execute(f"PRAGMA {pragma}")
            if self._opened_file is None:
                self._opened_file = _identity(self.url)

        return connect

    @property
    def shown(self) -> str:
        """The URL without its password."""
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection in one reading transaction."""
        with self.translate(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection in one writing transaction: all of it is committed, or none.

        SQLite takes its one write lock at the start, since a transaction that reads first and wants
        to write later cannot wait for another writer.
        """
        with self.translate(), self.engine.connect() as connection:
            connection.execution_options(**{_WRITE: True})
            with connection.begin():
                yield connection
                self.require_file()

    def require_file(self) -> None:
        """Refuse to go on with a SQLite file that was removed or replaced: what is written to it is lost.

        Raises:
            CatalogueUnavailable: The file's name means another file now, or none.
        """
        if self._opened_file is not None and self._opened_file != _identity(self.url):
            raise CatalogueUnavailable(
                f"the catalogue {self.shown} was removed or replaced while it was in use; put it back"
                " where it was, or start again",
                database=self.shown,
                reason="the file is gone",
            )

    def reader(self) -> Any:
        """Return this thread's raw driver connection for the few queries of every search.

        In autocommit: each statement sees what is committed when it starts. SQLAlchemy would cost
        more than the statements themselves.
        """
        reader: _Reader | None = getattr(self._local, "reader", None)
        if reader is None:
            reader = self._local.reader = self._open_reader()
        return reader.raw

    def _open_reader(self) -> _Reader:
        with self._lock:
            if self._closed:
                raise CatalogueUnavailable("the catalogue is closed; open it again", database=self.shown)
            with self.translate():
                pooled = self.engine.raw_connection()
            raw = pooled.driver_connection
            pooled.detach()
            if raw is not None and not self.sqlite:
                raw.autocommit = True
            reader = _Reader(raw)
            self._readers.add(reader)
            return reader

    def fetch(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Run one query, written with ``?`` for its parameters, on this thread's reader.

        Raises:
            InvalidInput: A parameter is text that no database holds.
        """
        for value in parameters:
            if isinstance(value, str) and not storable(value):
                raise InvalidInput(f"{value!r} contains a character that cannot be stored", stage="catalogue")
        if not self.sqlite:
            sql = sql.replace("?", "%s")
        try:
            rows: list[tuple[Any, ...]] = self.reader().execute(sql, parameters).fetchall()
        except self._driver_error as error:
            self._forget_reader()
            raise unavailable(self.shown, error) from error
        return rows

    def fetch_in(
        self, sql: str, values: Iterable[Any], before: tuple[Any, ...] = ()
    ) -> list[tuple[Any, ...]]:
        """Run a query that ends in ``IN`` for these values, however many there are."""
        wanted = list(values)
        found: list[tuple[Any, ...]] = []
        for start in range(0, len(wanted), CHUNK):
            chunk = wanted[start : start + CHUNK]
            found += self.fetch(f"{sql} ({','.join('?' * len(chunk))})", (*before, *chunk))
        return found

    @property
    def _driver_error(self) -> type[Exception]:
        error: type[Exception] = self.engine.dialect.loaded_dbapi.Error
        return error

    def _forget_reader(self) -> None:
        """Drop a connection that failed: the server may have gone and come back."""
        reader: _Reader | None = getattr(self._local, "reader", None)
        self._local.reader = None
        if reader is not None:
            reader.close()

    @contextmanager
    def translate(self) -> Iterator[None]:
        """Turn the driver's errors into ``CatalogueUnavailable``, with what to do."""
        try:
            yield
        except (DBAPIError, PoolTimeout) as error:
            raise unavailable(self.shown, error) from error

    def close(self) -> None:
        """Close every connection; closing twice is allowed."""
        with self._lock:
            self._closed = True
            for reader in self._readers:
                reader.close()
        self._local = threading.local()
        self.engine.dispose()


class _Reader:
    """A raw connection that is closed, at the latest, when the thread it belongs to has ended."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self.close = weakref.finalize(self, raw.close)


def _make_folder(url: URL) -> None:
    database = url.database or ""
    if database.startswith("file:"):
        return
    folder = Path(database).parent
    try:
        private_folder(folder)
        with contextlib.suppress(OSError):  # SQLite says better what is wrong
            private_file(Path(database))  # its log and shared memory get the same mode from SQLite
    except OSError as error:
        raise CatalogueUnavailable(
            f"the catalogue's folder {folder} cannot be made: {os.strerror(error.errno or 0)};"
            " choose another with CADML_DATA_DIR or CADML_DATABASE_URL",
            path=str(folder),
        ) from error


def _identity(url: URL) -> tuple[int, int] | None:
    """What tells the file from another of its name; None where there is none."""
    try:
        found = Path(url.database or "").stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _sqlite_begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


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
