"""One database, SQLite or PostgreSQL, and the two ways to use it: :meth:`Database.read` and :meth:`Database.write`.

Leaving a write block normally commits; an exception rolls everything back. A database that is busy or gone is
:class:`StoreUnavailable`, so that doors can answer 503; a unique key that is taken is :class:`Taken`, with its name.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Engine,
    Insert,
    Select,
    Table,
    Update,
    bindparam,
    create_engine,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.engine import URL, CursorResult, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidatePoolError, OperationalError, TimeoutError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql import Executable

from checkout.errors import CheckoutError, StoreUnavailable

BUSY_TIMEOUT_S: Final = 5
POOL_SIZE: Final = 12
#: A PostgreSQL connection that has rested this long is tried before it is used again.
RESTED_S: Final = 5.0


class Taken(CheckoutError):
    """A unique key is already there; ``constraint`` is the text in which the database names it."""

    def __init__(self, constraint: str) -> None:
        super().__init__(f"already there: {constraint}")
        self.constraint = constraint


class Unit:
    """An open transaction. Only functions of this package execute statements on it."""

    __slots__ = ("connection", "is_sqlite")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.is_sqlite = connection.dialect.name == "sqlite"

    def execute(self, statement: Executable, values: Any = None) -> CursorResult[Any]:
        """Run one statement; a broken unique key becomes :class:`Taken`."""
        try:
            result: CursorResult[Any] = self.connection.execute(statement, values)
        except IntegrityError as error:
            raise Taken(_constraint(error)) from error
        return result


@cache
def by_id(table: Table, *, lock: bool = False) -> Select[Any]:
    """The row whose id is the parameter ``row``.

    Statements of the hot paths are built once and given parameters: building one anew costs several times its execution.
    """
    query = select(table).where(table.c.id == bindparam("row"))
    return query.with_for_update() if lock else query


@cache
def add_to(table: Table) -> Insert:
    """A new row of the table; the parameters are its columns' values."""
    return insert(table)


@cache
def change_by_id(table: Table) -> Update:
    """A change of the row whose id is the parameter ``row``; every other parameter is a column's new value."""
    return update(table).where(table.c.id == bindparam("row"))


def _constraint(error: IntegrityError) -> str:
    """The constraint's name on PostgreSQL, the column list in SQLite's message: enough to tell which key it was."""
    diagnostics = getattr(error.orig, "diag", None)
    name = getattr(diagnostics, "constraint_name", None)
    return str(name or error.orig)


class Database:
    """The engine and the process's writer lock. Make it after a fork, one per process."""

    def __init__(self, url: str) -> None:
        self.url: URL = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine: Engine = _sqlite_engine(self.url) if self.is_sqlite else _postgresql_engine(self.url)
        # PostgreSQL sees each statement of a read by itself anyway (READ COMMITTED): BEGIN and ROLLBACK would add nothing
        self._reader = self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._writer = threading.Lock()

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Unit]:
        """Statements that change nothing; on SQLite they see the database at one moment."""
        with _translated(), self._reader.connect() as connection:
            if self.is_sqlite:
                _begin(connection, "BEGIN")
            yield Unit(connection)

    @contextmanager
    def write(self) -> Iterator[Unit]:
        """A transaction that commits when the block ends normally.

        SQLite has one writer: threads of this process queue at a lock instead of spinning at the file's, and the
        transaction is IMMEDIATE, so reading then writing inside it is safe.
        """
        if not self.is_sqlite:
            with _translated(), self.engine.begin() as connection:
                yield Unit(connection)
            return
        if not self._writer.acquire(timeout=BUSY_TIMEOUT_S):
            raise StoreUnavailable("the database is busy")
        try:
            with _translated(), self.engine.connect() as connection, connection.begin():
                _begin(connection, "BEGIN IMMEDIATE")
                yield Unit(connection)
        finally:
            self._writer.release()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, TimeoutError, sqlite3.OperationalError) as error:
        raise StoreUnavailable("the database is busy or cannot be reached") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise StoreUnavailable("the connection to the database was lost") from error
        raise


def _postgresql_engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        pool_size=POOL_SIZE,
        max_overflow=8,
        pool_timeout=BUSY_TIMEOUT_S,
        connect_args={
            "connect_timeout": BUSY_TIMEOUT_S,
            # a lock that is not to be had soon is a busy database, and a transaction left open is a bug
            "options": "-c lock_timeout=10000 -c idle_in_transaction_session_timeout=60000 -c timezone=UTC",
        },
    )

    @event.listens_for(engine, "checkin")
    def _rest(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info["rests_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _try_after_rest(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
        """A server that restarted in a quiet hour costs nobody a refusal; a ping before each use would cost everybody."""
        now = time.monotonic()
        if now - record.info.get("rests_since", now) < RESTED_S:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error

    return engine


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        pool_size=POOL_SIZE,
        max_overflow=20,
        pool_timeout=BUSY_TIMEOUT_S,
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver's own BEGIN comes too late; ours is below
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={BUSY_TIMEOUT_S * 1000}",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _begin(connection: Connection, how: str) -> None:
    """Begin a transaction of SQLite, straight at the driver.

    A listener to the engine's own would be looked for again at every statement.
    """
    driver: Any = connection.connection.dbapi_connection
    driver.execute(how)
