"""Bringing a database to the newest schema, by Alembic, and asking whether it is there."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from checkout.store.engine import Database
from checkout.store.stores import insert_installation, installation_row

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def migrate(database: Database, *, installation_id: str, now: datetime) -> None:
    """Upgrade to the newest schema and name the installation, once."""
    config = _config()
    with database.write() as unit:
        config.attributes["connection"] = unit.connection
        command.upgrade(config, "head")
    with database.write() as unit:
        if installation_row(unit) is None:
            insert_installation(unit, installation_id, at=now)


def is_current(database: Database) -> bool:
    """Whether the database has the schema this code needs."""
    with database.read() as unit:
        present = MigrationContext.configure(unit.connection).get_current_heads()
    return set(present) == set(ScriptDirectory.from_config(_config()).get_heads())
