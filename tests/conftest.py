"""Databases and a small system that tests of every tier share. Nothing here patches the package."""

from __future__ import annotations

import os
import shutil
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import structlog

from tests.javascript_runtime import NoJavaScript, modules, node_or_reason
from tests.postgres import Server, server_or_reason
from tests.system import System, make_system


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_works() -> None:
    """What we start can be interrupted, even where a shell has put the suite in the background, deaf to Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def plain_log() -> None:
    """The log in plain lines: what structlog does by itself, drawing every traceback, takes seconds each."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
        cache_logger_on_first_use=False,
    )


@pytest.fixture(scope="session")
def disk_matters() -> bool:
    """Whether PostgreSQL waits for its disk. Where nothing kills the machine it need not."""
    return False


@pytest.fixture(scope="session")
def running_postgresql(tmp_path_factory: pytest.TempPathFactory, disk_matters: bool) -> Iterator[Server]:
    """A real PostgreSQL server. The suite brings it itself."""
    server, reason = server_or_reason(tmp_path_factory.mktemp("pg"), durable=disk_matters)
    if server is None:
        _lacking(f"no PostgreSQL server: {reason}")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgresql_server(running_postgresql: Server) -> Callable[[], str]:
    """Makes a fresh database with the newest schema on a real PostgreSQL server and gives its URL."""
    return running_postgresql.migrated_database


@pytest.fixture
def postgresql_url(running_postgresql: Server) -> Iterator[str]:
    """The URL of a PostgreSQL database with the newest schema and no rows, for one test."""
    with running_postgresql.lent_database() as url:
        yield url


@pytest.fixture(params=[pytest.param("sqlite"), pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database for one system: once SQLite, once PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'checkout.db'}"
    return str(request.getfixturevalue("postgresql_url"))


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
    found, reason = node_or_reason()
    return found or _lacking(f"no Node.js: {reason}")


@pytest.fixture(scope="session")
def node_modules(node: str) -> Path:
    """The working directory in which Node.js finds the packages of ``tests/javascript``."""
    try:
        return modules()
    except NoJavaScript as problem:
        return _lacking(f"no packages for Node.js: {problem}")


@pytest.fixture(scope="session")
def php() -> str:
    """The path of PHP's command line."""
    return shutil.which("php") or _lacking("php is not installed; on Debian: apt-get install php-cli")


def _lacking(reason: str) -> NoReturn:
    """A loud skip; a failure where nothing may be skipped."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
