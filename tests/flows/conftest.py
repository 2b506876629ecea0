"""Flows open hundreds of databases: real files, in memory where the machine has a folder for that, so commits are quick."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.desk import Desk
from tests.postgres import Server
from tests.system import System, make_system

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - folders of our own are made inside


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="checkout-", dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None)


@pytest.fixture
def fast_folder() -> Iterator[Path]:
    """A folder of this test's own, in memory where there is one."""
    with _folder() as made:
        yield Path(made)


@pytest.fixture(params=[pytest.param("sqlite"), pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest, fast_folder: Path) -> str:
    """The URL of a database for one system: once SQLite, once PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{fast_folder / 'checkout.db'}"
    make: Callable[[], str] = request.getfixturevalue("postgresql_server")
    return make()


@pytest.fixture(params=[pytest.param("sqlite"), pytest.param("postgresql", marks=pytest.mark.postgresql)])
def empty_database_url(request: pytest.FixtureRequest, fast_folder: Path) -> str:
    """The URL of a database without tables: once SQLite, once PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{fast_folder / 'checkout.db'}"
    server: Server = request.getfixturevalue("running_postgresql")
    return server.new_database()


@pytest.fixture
def sqlite_system(fast_folder: Path) -> Iterator[System]:
    """A system on SQLite alone, for rules that do not depend on the database."""
    made = make_system(f"sqlite:///{fast_folder / 'alone.db'}")
    yield made
    made.close()


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """A payout desk on each database."""
    made = Desk(database_url)
    yield made
    made.system.close()


@pytest.fixture
def sqlite_desk(fast_folder: Path) -> Iterator[Desk]:
    """The same on SQLite alone."""
    made = Desk(f"sqlite:///{fast_folder / 'desk.db'}")
    yield made
    made.system.close()


@pytest.fixture(scope="module")
def shared_system() -> Iterator[System]:
    """One system for all tests of a file that look only at what they made themselves."""
    with _folder() as made:
        system = make_system(f"sqlite:///{made}/shared.db")
        yield system
        system.close()
