"""Migrations make exactly the tables that the code declares, and carry along what an older version stored."""

from __future__ import annotations

from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CheckConstraint, UniqueConstraint, inspect, text

from checkout.store.engine import Database
from checkout.store.schema import MIGRATIONS
from checkout.store.tables import metadata
from tests.system import START, System


def upgrade(database: Database, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.write() as unit:
        config.attributes["connection"] = unit.connection
        command.upgrade(config, revision)


def test_what_migrations_make_is_what_the_code_declares(system: System) -> None:
    with system.database.read() as unit:
        found: list[Any] = compare_metadata(MigrationContext.configure(unit.connection), metadata)
    # partial indexes are compared by name below: neither database gives back their condition as it was written
    assert [one for one in found if "index" not in str(one[0])] == []
    inspector = inspect(system.database.engine)
    for table in metadata.sorted_tables:
        assert {index["name"] for index in inspector.get_indexes(table.name)} >= {one.name for one in table.indexes}
        unique = {tuple(sorted(one["column_names"])) for one in inspector.get_unique_constraints(table.name)}
        declared = [one for one in table.constraints if isinstance(one, UniqueConstraint)]
        assert unique >= {tuple(sorted(column.name for column in one.columns)) for one in declared}
        checks = {one["name"] for one in inspector.get_check_constraints(table.name)}
        assert checks >= {str(one.name) for one in table.constraints if isinstance(one, CheckConstraint)}


def test_a_database_of_the_first_version_keeps_its_rows(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    upgrade(database, "0001")
    at = START.replace(tzinfo=None).isoformat(sep=" ") if database.is_sqlite else START.isoformat()
    with database.write() as unit:
        for statement in (
            "INSERT INTO store (id, name, origins, created_at, created_by) VALUES ('sto_1', 'Shop', '[]', :at, 'ann')",
            "INSERT INTO customer (id, store_id, external_id, provider_user_id, created_at, updated_at) "
            "VALUES ('cus_1', 'sto_1', 'c-1', 'uuid-1', :at, :at)",
            "INSERT INTO payment (id, store_id, idempotency_key, request_hash, flow, amount_minor, currency, country, "
            "order_ref, customer_id, metadata, status, pay_token_hash, pay_token_sealed, created_at, updated_at) VALUES "
            "('pay_1', 'sto_1', 'k', 'h', 'hosted', 900, 'EUR', 'DE', 'o-1', 'cus_1', '{}', 'open', 'th', 'ts', :at, :at)",
            "INSERT INTO event (id, provider, dedup_key, body_hash, state, headers, body_sealed, size, received_at) "
            "VALUES ('evt_1', 'stable_mint', 'd', 'h', 'unmatched', '{}', 'x', 1, :at)",
        ):
            unit.execute(text(statement), {"at": at})
    upgrade(database, "head")
    with database.read() as unit:
        row = unit.execute(text("SELECT status, amount_minor, customer_id, link_id, language FROM payment")).one()
        waiting = unit.execute(text("SELECT due_at FROM event")).scalar_one()
    assert tuple(row) == ("open", 900, "cus_1", None, None)
    assert waiting is not None
    database.close()
