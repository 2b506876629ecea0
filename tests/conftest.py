"""Databases and a small system that tests of every tier share. Nothing here patches the package."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.postgres import server_or_reason
from tests.system import System, make_system

#: The tests of these folders run once per database.
BOTH = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """Makes a fresh database on a real PostgreSQL server and gives its URL. The suite brings the server itself."""
    server, reason = server_or_reason(tmp_path_factory.mktemp("pg"))
    if server is None:
        if os.environ.get("CI"):
            pytest.fail(f"no PostgreSQL server: {reason}")
        pytest.skip(f"no PostgreSQL server: {reason}")
    yield server.new_database
    server.stop()


@pytest.fixture(params=[pytest.param("sqlite"), pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty, migrated database: once SQLite, once PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'checkout.db'}"
    make: Callable[[], str] = request.getfixturevalue("postgresql_server")
    return make()


@pytest.fixture
def system(database_url: str) -> Iterator[System]:
    """A whole service on one database, with both providers played by scripts of the test."""
    made = make_system(database_url)
    yield made
    made.close()


@pytest.fixture
def sqlite_system(tmp_path: Path) -> Iterator[System]:
    """The same on SQLite alone, for rules that do not depend on the database."""
    made = make_system(f"sqlite:///{tmp_path / f'{uuid.uuid4().hex}.db'}")
    yield made
    made.close()


@pytest.fixture(scope="session")
def node() -> str:
    """The path of Node.js."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed")
    return found
