"""What the shop is told: signed by the standard's own library's measure, retried for three days, never lost."""

from __future__ import annotations

import json

import pytest
from standardwebhooks.webhooks import Webhook

from checkout.store import notifications as rows
from checkout.store.records import NotificationRow
from tests.system import System


def messages(system: System, subject: str) -> list[NotificationRow]:
    with system.database.read() as unit:
        return rows.notifications_on(unit, subject)


def settled(system: System) -> str:
    answer = system.pay()
    system.hear(system.sessions(answer.payment.id)[0], "accepted", "completed")
    return answer.payment.id


def test_the_standard_s_library_verifies_what_the_shop_receives(sqlite_system: System) -> None:
    secret = sqlite_system.services.stores.set(
        sqlite_system.store.id, {"notify_url": "https://shop.example/hooks"}, who="ann"
    )
    assert secret is not None
    settled(sqlite_system)
    headers, heard = sqlite_system.shop.headers[-1], sqlite_system.shop.heard[-1]
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    stale = {**{name: headers[name] for name in names}}
    body = json.dumps(heard, separators=(",", ":"), ensure_ascii=False)
    signed = Webhook(secret).sign(stale["webhook-id"], sqlite_system.clock.now, body)
    assert signed in stale["webhook-signature"].split(" ")


def test_during_a_rotation_both_secrets_sign(sqlite_system: System) -> None:
    stores = sqlite_system.services.stores
    stores.set(sqlite_system.store.id, {"notify_url": "https://shop.example/hooks"}, who="ann")
    settled(sqlite_system)
    assert len(sqlite_system.shop.headers[-1]["webhook-signature"].split(" ")) == 2
    sqlite_system.clock.advance(hours=25)
    settled(sqlite_system)
    assert len(sqlite_system.shop.headers[-1]["webhook-signature"].split(" ")) == 1


@pytest.mark.parametrize("status", [500, 404, 301])
def test_a_shop_that_does_not_take_it_is_tried_again_with_growing_waits(system: System, status: int) -> None:
    system.shop.status = status
    payment = settled(system)
    assert {one.state for one in messages(system, payment)} == {"pending"}
    tries = len(system.shop.heard)
    system.work()
    assert len(system.shop.heard) == tries, "not before its wait is over"
    system.shop.status = 200
    system.clock.advance(minutes=1)
    system.work()
    assert [one.state for one in messages(system, payment)] == ["delivered", "delivered"]


def test_after_three_days_it_is_given_up_with_a_case(system: System) -> None:
    system.shop.status = 500
    payment = settled(system)
    for _ in range(30):
        system.clock.advance(hours=3)
        system.work()
    assert {one.state for one in messages(system, payment)} == {"abandoned"}
    assert system.cases() == ["notification_undelivered"]


def test_gone_means_never_again(system: System) -> None:
    system.shop.status = 410
    payment = settled(system)
    assert {one.state for one in messages(system, payment)} == {"abandoned"}


def test_a_store_without_an_endpoint_keeps_its_news_unsent(sqlite_system: System) -> None:
    stores = sqlite_system.services.stores
    made = stores.create("Quiet", ["https://quiet.example"], who="ann")
    answer, _ = sqlite_system.services.payments.open(stores.find(made.id), sqlite_system.wanted())
    sqlite_system.hear(sqlite_system.sessions(answer.payment.id)[0], "completed")
    assert [one.state for one in messages(sqlite_system, answer.payment.id)] == ["unaddressed"]
    assert sqlite_system.shop.heard == []


def test_sequences_count_up_per_payment_and_carry_the_state(sqlite_system: System) -> None:
    payment = settled(sqlite_system)
    told = [json.loads(one.body) for one in messages(sqlite_system, payment)]
    assert [(one["sequence"], one["type"], one["data"]["status"]) for one in told] == [
        (1, "payment.accepted", "accepted"),
        (2, "payment.settled", "settled"),
    ]
    assert "email" not in json.dumps(told)
