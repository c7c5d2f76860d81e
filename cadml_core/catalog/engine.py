"""Connections to the database: how each dialect begins, locks, waits, and what its errors mean."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from cadml_core.catalog.transactions import CHUNK
from cadml_core.errors import CatalogueUnavailable, InvalidInput, InvalidSetting

ADVISORY_LOCK = 0x6361646D6C  # "cadml"; held while the schema is created or upgraded
_WRITE = "cadml_write"

_ADVICE: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("database is locked", "database table is locked", "lock timeout", "locknotavailable"),
        "another process keeps the database locked; wait for it or end it, then try again",
    ),
    (
        ("database or disk is full", "disk full", "no space left", "diskfull"),
        "the disk is full; free some space, then try again",
    ),
    (
        ("readonly", "read-only"),
        "the database is read-only; make the file and its folder writable for this user",
    ),
    (
        ("not a database", "malformed", "disk image", "corrupt"),
        "the file is damaged or no cadml catalogue; restore it from a copy, or move it away and ingest again",
    ),
    (
        ("unable to open", "disk i/o error"),
        "check that the folder exists and is writable, and that its disk is healthy and not full",
    ),
    (
        ("connection", "could not translate", "server closed", "timeout expired", "starting up"),
        "check that the database server runs and that host, port, user and password are right",
    ),
)


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
            sa.event.listen(engine, "connect", _sqlite_connect(lock_timeout))
            sa.event.listen(engine, "begin", _sqlite_begin)
            return engine
        milliseconds = int(lock_timeout * 1000)
        return sa.create_engine(
            self.url,
            max_overflow=-1,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10, "options": f"-c lock_timeout={milliseconds}"},
        )

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
            raise self._unavailable(error) from error
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
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> CatalogueUnavailable:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        return CatalogueUnavailable(
            f"the catalogue {self.shown} cannot be used: {reason}; {_advice(error)}",
            database=self.shown,
            reason=reason,
        )

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


def _advice(error: Exception) -> str:
    original = getattr(error, "orig", None) or error
    text = f"{type(original).__name__} {original}".lower()
    for signs, advice in _ADVICE:
        if any(sign in text for sign in signs):
            return advice
    return "see the reason given"


def _make_folder(url: URL) -> None:
    database = url.database or ""
    if database.startswith("file:"):
        return
    folder = Path(database).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CatalogueUnavailable(
            f"the catalogue's folder {folder} cannot be made: {os.strerror(error.errno or 0)};"
            " choose another with CADML_DATA_DIR or CADML_DATABASE_URL",
            path=str(folder),
        ) from error


def _sqlite_connect(lock_timeout: float) -> Callable[[Any, Any], None]:
    def connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        for pragma in (
            f"busy_timeout = {int(lock_timeout * 1000)}",
            "foreign_keys = ON",
            "synchronous = FULL",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return connect


def _sqlite_begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
