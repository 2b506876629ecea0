"""What the shop is told: signed by the standard's own library's measure, retried for three days, never lost."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from checkout.rules.work import NOTIFICATION_BACKOFF_MAX
from checkout.store import notifications as rows
from checkout.store.records import NotificationRow
from tests.flows.notification_days import Shops, endpoint, health, log_of, message_of, news, states, telling
from tests.system import System

SHOP = "shop.example"


def messages(system: System, subject: str) -> list[NotificationRow]:
    with system.database.read() as unit:
        return rows.notifications_on(unit, subject)


def settled(system: System) -> str:
    answer = system.pay()
    system.hear(system.sessions(answer.payment.id)[0], "accepted", "completed")
    return answer.payment.id


def first_endpoint(system: System) -> str:
    return str(system.services.endpoints.all(system.store.id)[0]["id"])


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


def test_waits_grow_to_an_hour_and_no_further_and_go_on_for_three_days(sqlite_system: System) -> None:
    system = sqlite_system
    with telling(system, Shops({SHOP: httpx.ConnectError("gone")})) as ours:
        (subject,) = news(ours, 1)
        ident = first_endpoint(system)
        while states(system, ident) != {"abandoned": 1}:
            ours.work()
            system.clock.advance(minutes=15)
    moments = [one["at"] for one in log_of(system, message_of(system, subject))]
    waits = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert max(waits) <= NOTIFICATION_BACKOFF_MAX + timedelta(minutes=15)
    assert min(waits[-5:]) > max(waits[:2])
    assert timedelta(days=3) <= moments[-1] - moments[0] < timedelta(days=3, hours=2)
    assert 72 <= len(moments) <= 200


def test_the_log_has_every_try_with_its_answer(system: System) -> None:
    answers: list[httpx.Response | Exception] = [
        httpx.ConnectTimeout("no"), httpx.Response(500, text="order\n\x1b[31m unknown, whsec_c2VjcmV0"), httpx.Response(204),
    ]  # fmt: skip

    def answer(_request: httpx.Request) -> httpx.Response:
        one = answers.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    with telling(system, Shops({SHOP: answer})) as ours:
        (subject,) = news(ours, 1)
        for _ in range(3):
            ours.work()
            system.clock.advance(minutes=1)
    shown = system.services.resending.show(message_of(system, subject))
    (delivery,) = shown["deliveries"]
    assert [(one["number"], one["status"], one["problem"], one["response"]) for one in delivery["tries"]] == [
        (1, None, "could not connect in time", ""),
        (2, 500, "", "order [31m unknown, [redacted]"),
        (3, 204, "", ""),
    ]
    assert (delivery["state"], delivery["last_answer"], shown["state"]) == ("delivered", "status 204", "delivered")
    assert all(one["duration_ms"] >= 0 for one in delivery["tries"])


def test_what_a_shop_answered_is_stored_encrypted(sqlite_system: System) -> None:
    system = sqlite_system
    with telling(system, Shops({SHOP: lambda _request: httpx.Response(500, text="Ada Lovelace, Berlin")})) as ours:
        (subject,) = news(ours, 1)
        ours.work()
    with system.database.read() as unit:
        (delivery,) = rows.deliveries_of(unit, message_of(system, subject))
        (attempt,) = rows.tries_of(unit, delivery.id)
    assert attempt.excerpt_sealed is not None
    assert b"Lovelace" not in attempt.excerpt_sealed
    assert log_of(system, message_of(system, subject))[0]["response"] == "Ada Lovelace, Berlin"


# --- a server that is down ---------------------------------------------------------------------------------------


def test_a_server_that_is_down_for_a_day_loses_nothing(system: System) -> None:
    shops = Shops({SHOP: httpx.ConnectError("down")})
    told: list[str] = []
    with telling(system, shops) as ours:
        for hour in range(24):
            told += news(ours, 3, about=f"hour{hour}")
            for _ in range(3):
                ours.work()
                system.clock.advance(minutes=20)
        before = len(shops.arrivals)
        shops.answers[SHOP] = 200
        system.clock.advance(minutes=5)
        ours.work()
        assert states(system, first_endpoint(system)) == {"delivered": len(told)}
        heard = shops.ids(SHOP)[before:]
    assert sorted(heard) == sorted(message_of(system, one) for one in told), "each once, when it is back"
    assert system.cases(include_closed=True) == []


def test_an_endpoint_that_takes_nothing_for_three_days_is_disabled_with_a_case_and_misses_nothing_for_good(
    system: System,
) -> None:
    shops = Shops({SHOP: 500})
    ident = first_endpoint(system)
    with telling(system, shops) as ours:
        told = news(ours, 5)
        for _ in range(26):
            ours.work()
            system.clock.advance(hours=3)
        assert states(system, ident) == {"abandoned": 5}
        row = health(system, ident)
        assert (row.state, row.disabled_because) == ("disabled", "it has taken nothing for 3 days")
        assert system.cases() == ["endpoint_disabled"]
        told += news(ours, 2, about="later")
        silent = len(shops.arrivals)
        ours.work()
        assert states(system, ident) == {"abandoned": 7}, "what it misses is kept, not tried"

        shops.answers[SHOP] = 200
        assert ours.services.endpoints.enable(ident, resend_missed=True, who="ann") == {"missed": 7, "resent": 7}
        ours.work()
        assert len(shops.arrivals) == silent + 7
    assert states(system, ident) == {"delivered": 7}
    assert sorted(shops.ids(SHOP)[silent:]) == sorted(message_of(system, one) for one in told)
    assert system.cases() == []
    assert health(system, ident).failing_since is None


def test_gone_disables_the_endpoint_at_once(system: System) -> None:
    system.shop.status = 410
    payment = settled(system)
    assert {one.state for one in messages(system, payment)} == {"abandoned"}
    assert system.cases() == ["endpoint_disabled"]
    assert len(system.shop.heard) == 1


def test_one_message_that_cannot_be_taken_holds_up_no_other_and_ends_in_a_case_of_its_own(
    sqlite_system: System,
) -> None:
    """An endpoint that refuses one order for ever is no endpoint that fails: it is never left alone for long, or disabled."""
    system = sqlite_system
    poison: list[str] = []

    def picky(request: httpx.Request) -> httpx.Response:
        return httpx.Response(500 if request.headers["webhook-id"] in poison else 200)

    shops = Shops({SHOP: picky})
    ident = first_endpoint(system)
    with telling(system, shops) as ours:
        poison.append(message_of(ours, news(ours, 1, about="poison")[0]))
        for watch in range(26):
            ours.work()
            told = news(ours, 2, about=f"watch{watch}")
            before = len(shops.arrivals)
            for _ in range(2):
                ours.work()
                system.clock.advance(minutes=5)
            assert {message_of(ours, one) for one in told} <= set(shops.ids(SHOP)[before:]), f"late in watch {watch}"
            system.clock.advance(minutes=170)
    assert states(system, ident) == {"delivered": 52, "abandoned": 1}
    assert system.cases() == ["notification_undelivered"]
    assert health(system, ident).state == "active"


# --- who is told -------------------------------------------------------------------------------------------------


def test_a_store_without_an_endpoint_keeps_its_news_unsent(sqlite_system: System) -> None:
    stores = sqlite_system.services.stores
    made = stores.create("Quiet", ["https://quiet.example"], who="ann")
    answer, _ = sqlite_system.services.payments.open(stores.find(made.id), sqlite_system.wanted())
    sqlite_system.hear(sqlite_system.sessions(answer.payment.id)[0], "completed")
    assert [one.state for one in messages(sqlite_system, answer.payment.id)] == ["unaddressed"]
    assert sqlite_system.shop.heard == []


def test_each_endpoint_hears_what_it_asked_for_under_its_own_secret(system: System) -> None:
    shops = Shops()
    endpoint(system, "books.example", events=["payment.settled", "refund.*"])
    endpoint(system, "stock.example", events=["payout.*"])
    with telling(system, shops) as ours:
        news(ours, 1, about="a", kind="payment.accepted")
        news(ours, 1, about="b", kind="payment.settled")
        news(ours, 1, about="c", kind="refund.sent")
        news(ours, 1, about="d", kind="payout.completed")
        ours.work()
    heard = {host: sorted(one.type for one in shops.at(host)) for host in (SHOP, "books.example", "stock.example")}
    assert heard == {
        SHOP: ["payment.accepted", "payment.settled", "payout.completed", "refund.sent"],
        "books.example": ["payment.settled", "refund.sent"],
        "stock.example": ["payout.completed"],
    }
    assert {one.signatures for one in shops.arrivals} == {1}


def test_sequences_count_up_per_payment_and_carry_the_state(sqlite_system: System) -> None:
    payment = settled(sqlite_system)
    told = [json.loads(one.body) for one in messages(sqlite_system, payment)]
    assert [(one["sequence"], one["type"], one["data"]["status"]) for one in told] == [
        (1, "payment.accepted", "accepted"),
        (2, "payment.settled", "settled"),
    ]
    assert "email" not in json.dumps(told)
