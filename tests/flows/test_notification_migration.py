"""A store that was notified at one address, with its secrets and what it had not yet heard, goes on being notified."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text
from standardwebhooks import Webhook

from checkout.app import build
from checkout.config import Settings
from checkout.sealing import Sealer
from checkout.store import notifications as rows
from checkout.store.engine import Database
from checkout.store.tables import Instant
from tests.flows.notification_days import Shops
from tests.flows.test_schema import upgrade
from tests.system import START, Clock, environment

OLD = "whsec_" + base64.b64encode(b"o" * 32).decode()
NEW = "whsec_" + base64.b64encode(b"n" * 32).decode()
BODY = '{"type":"payment.settled","timestamp":"2026-11-21T12:00:00+00:00","sequence":1,"data":{"id":"pay_1"}}'
#: id, store, state, due in so many minutes, attempts so far
MESSAGES = (
    ("msg_pending", "sto_a", "pending", 0, 0),
    ("msg_tried", "sto_a", "pending", 30, 4),
    ("msg_delivered", "sto_a", "delivered", None, 1),
    ("msg_abandoned", "sto_a", "abandoned", None, 28),
    ("msg_unaddressed", "sto_b", "unaddressed", None, 0),
)


def fill(database: Database, seal: Settings) -> None:
    """What version 0007 had stored: one store with an address and two secrets, one without; and messages of every state."""
    sealer = Sealer(seal.data_keys)
    sealed = {"old": sealer.seal_text(OLD), "new": sealer.seal_text(NEW)}
    with database.write() as unit:
        dialect = unit.connection.dialect
        bind = Instant().process_bind_param

        def run(statement: str, **values: object) -> None:
            unit.execute(text(statement), values)

        at = bind(START - timedelta(hours=1), dialect)
        for ident, url in (("sto_a", "https://shop.example/hooks"), ("sto_b", None)):
            run(
                "INSERT INTO store (id, name, origins, notify_url, created_at, created_by) "
                "VALUES (:id, :id, '[]', :url, :at, 'ann')", id=ident, url=url, at=at,
            )  # fmt: skip
            run(
                "INSERT INTO store_key (id, store_id, key_hash, hint, scopes, created_at, created_by) "
                "VALUES (:key, :id, :key, 'sk_test', 'read write', :at, 'ann')", key=f"key_{ident}", id=ident, at=at,
            )  # fmt: skip
        ends = bind(START + timedelta(hours=23), dialect)
        for ident, secret, expires in (("sec_1", sealed["old"], ends), ("sec_2", sealed["new"], None)):
            run(
                "INSERT INTO notification_secret (id, store_id, secret_sealed, expires_at, created_at, created_by) "
                "VALUES (:id, 'sto_a', :secret, :expires, :at, 'ann')", id=ident, secret=secret, expires=expires, at=at,
            )  # fmt: skip
        for ident, store, state, due_min, attempts in MESSAGES:
            due = None if due_min is None else bind(START + timedelta(minutes=due_min), dialect)
            run(
                "INSERT INTO notification (id, store_id, subject, type, sequence, body, state, last_answer, created_at, "
                "delivered_at, due_at, attempts) VALUES (:id, :store, :id, 'payment.settled', 1, :body, :state, :answer, :at, "
                ":delivered, :due, :attempts)", id=ident, store=store, body=BODY, state=state, due=due, attempts=attempts,
                answer="status 500" if attempts else "", at=at, delivered=at if state == "delivered" else None,
            )  # fmt: skip


def test_endpoints_secrets_and_waiting_messages_are_carried_over(empty_database_url: str) -> None:
    settings = Settings.from_env(environment(empty_database_url))
    database = Database(empty_database_url)
    upgrade(database, "0007")
    fill(database, settings)
    upgrade(database, "head")
    database.close()

    clock, shops, kept = Clock(), Shops(), {}

    def hear(request: httpx.Request) -> httpx.Response:
        kept[request.headers["webhook-id"]] = (request.headers, request.content.decode())
        return shops(request)

    services = build(settings, clock=clock, storefront_transport=httpx.MockTransport(hear))
    try:
        (endpoint,) = services.endpoints.all(None)
        assert (endpoint["id"], endpoint["store"], endpoint["url"]) == ("end_a", "sto_a", "https://shop.example/hooks")
        assert (endpoint["state"], endpoint["events"], endpoint["secrets"]) == ("active", None, 2)
        with services.context.database.read() as unit:
            states = {one: message.state for one, *_ in MESSAGES if (message := rows.notification_by_id(unit, one))}
            (tried,) = rows.deliveries_of(unit, "msg_tried")
        assert states == {ident: state for ident, _, state, _, _ in MESSAGES}
        assert (tried.tries, tried.attempts, tried.last_answer) == (4, 4, "status 500")
        assert (tried.due_at, tried.since) == (START + timedelta(minutes=30), START - timedelta(hours=1))

        worker = services.worker("new")
        while worker.turn():
            pass
        assert shops.ids("shop.example") == ["msg_pending"]
        clock.advance(minutes=30)
        while worker.turn():
            pass
        assert shops.ids("shop.example") == ["msg_pending", "msg_tried"]
        headers, body = kept["msg_pending"]
        assert body == BODY
        signed = [Webhook(secret).sign("msg_pending", START, BODY) for secret in (NEW, OLD)]
        assert headers["webhook-signature"].split(" ") == signed, "the old secrets, the newest first"
        assert services.resending.again("msg_abandoned", endpoint_id=None, who="ann") == 1
    finally:
        services.close()


def test_a_database_without_stores_is_brought_to_the_newest_schema_too(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    upgrade(database, "0008")
    upgrade(database, "head")
    with database.read() as unit:
        assert unit.execute(text("SELECT count(*) FROM notification_endpoint")).scalar_one() == 0
    database.close()


@pytest.mark.postgresql
def test_on_postgresql_a_due_delivery_wakes_the_senders(postgresql_server: Callable[[], str]) -> None:
    database = Database(postgresql_server())
    with database.read() as unit:
        found = unit.execute(
            text("SELECT tgrelid::regclass::text AS at FROM pg_trigger WHERE NOT tgisinternal AND tgname LIKE '%_due'")
        )
        tables = {row.at.strip('"') for row in found}
    database.close()
    assert "notification_delivery" in tables
    assert "notification" not in tables
