"""Real installations begin with a database without tables, and bring it to the newest schema themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.postgres import Server


@pytest.fixture(scope="session")
def disk_matters() -> bool:
    """As in a real installation."""
    return True


@pytest.fixture(params=[pytest.param("sqlite"), pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database: once SQLite, once PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'checkout.db'}"
    server: Server = request.getfixturevalue("running_postgresql")
    return server.new_database()
