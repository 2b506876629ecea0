"""The demo shop: an order turns paid on our signed word alone, however it is repeated, reordered or forged."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checkout.simulator.shop import create_app
from tests.demo_shop import WHOLE, Clock, FakeService, Options, Visitor

pytest_plugins = ("tests.demo_shop_fixtures",)


@pytest.mark.parametrize("outcome", ["success", "exit", "error", "support"])
def test_coming_back_proves_nothing(visitor: Visitor, outcome: str) -> None:
    order = visitor.order()
    back = f"/orders/{order}/back/{outcome}?payment_id=pay_1&outcome=success&status=settled"
    assert visitor.http.get(back).location == f"/orders/{order}"
    page = visitor.http.get(f"/orders/{order}")
    assert "Waiting for your payment" in page.text
    assert "Paid" not in page.text
    told = visitor.told(order)
    assert (told["paid"], told["came_back"]) == (False, outcome)


@pytest.mark.parametrize("status", ["accepted", "settled"])
def test_a_verified_notification_makes_the_order_paid(visitor: Visitor, status: str) -> None:
    order = visitor.order()
    answer = visitor.notify(order, status, 3)
    assert (answer.status_code, answer.get_json()) == (200, {"known": True})
    told = visitor.told(order)
    assert (told["paid"], told["status"], told["paid_by"]) == (True, status, "notification msg_1")
    assert "Paid. Thank you!" in visitor.http.get(f"/orders/{order}").text


@pytest.mark.parametrize("status", ["open", "submitted", "failed", "expired"])
def test_other_news_does_not_make_it_paid(visitor: Visitor, status: str) -> None:
    order = visitor.order()
    visitor.notify(order, status, 2)
    assert (visitor.told(order)["paid"], visitor.told(order)["status"]) == (False, status)


def test_a_paid_order_empties_its_own_basket_and_no_other(visitor: Visitor) -> None:
    first = visitor.order("pencils")
    visitor.notify(first, "settled", 1, amount="3")
    visitor.http.get(f"/orders/{first}")
    assert "Nothing is in it yet" in visitor.http.get("/basket").text
    visitor.pick("notebook")
    visitor.http.get(f"/orders/{first}")
    assert "€3.50" in visitor.http.get("/basket").text


def test_asking_the_api_makes_it_paid_when_no_notification_came(visitor: Visitor, service: FakeService) -> None:
    order = visitor.order()
    service.payments[order]["status"] = "accepted"
    assert visitor.told(order)["paid"] is False
    assert visitor.http.post(f"/orders/{order}/ask").status_code == 303
    assert (visitor.told(order)["paid"], visitor.told(order)["paid_by"]) == (True, "the API")


def test_the_order_page_asks_by_itself_once_the_shopper_is_back_and_not_too_often(
    visitor: Visitor, service: FakeService, clock: Clock
) -> None:
    order = visitor.order()
    asked = f"/v1/payments/{service.payments[order]['id']}"

    def times() -> int:
        visitor.http.get(f"/orders/{order}")
        return sum(request["path"] == asked for request in service.requests)

    assert times() == 0
    visitor.http.get(f"/orders/{order}/back/success")
    assert [times(), times()] == [1, 1]
    clock.now += timedelta(seconds=11)
    service.payments[order]["status"] = "settled"
    assert times() == 2
    clock.now += timedelta(seconds=11)
    assert times() == 2  # paid: nothing more to ask


def test_an_api_that_does_not_answer_changes_nothing(visitor: Visitor, service: FakeService) -> None:
    order = visitor.order()
    service.answer = 500, {}
    visitor.http.post(f"/orders/{order}/ask")
    told = visitor.told(order)
    assert (told["paid"], told["status"]) == (False, "open")
    assert told["timeline"][-1]["kind"] == "trouble"


@pytest.mark.parametrize(
    "changes",
    [{"amount": "0.90"}, {"amount": None}, {"currency": "USD"}, {"amount": "9.00", "currency": "XXX"}],
)
def test_news_that_names_another_amount_is_not_believed(visitor: Visitor, changes: dict[str, Any]) -> None:
    order = visitor.order()
    visitor.notify(order, "settled", 5, **changes)
    told = visitor.told(order)
    assert (told["paid"], told["sequence"]) == (False, 0)
    assert "not believed" in told["timeline"][-1]["text"]


def test_equal_amounts_written_differently_are_equal(visitor: Visitor) -> None:
    order = visitor.order()
    visitor.notify(order, "settled", 5, amount="9")
    assert visitor.told(order)["paid"] is True


# Notifications: repeated, reordered, forged, strange


def test_a_repeated_notification_is_counted_and_changes_nothing(visitor: Visitor) -> None:
    order = visitor.order()
    for _ in range(3):
        assert visitor.notify(order, "accepted", 2).status_code == 200
    (heard,) = visitor.told(order)["notifications"]
    assert {key: heard[key] for key in ("webhook_id", "type", "sequence", "status", "deliveries", "applied")} == {
        "webhook_id": "msg_1",
        "type": "payment.accepted",
        "sequence": 2,
        "status": "accepted",
        "deliveries": 3,
        "applied": True,
    }


def test_the_higher_sequence_wins_whatever_comes_first(visitor: Visitor) -> None:
    order = visitor.order()
    visitor.notify(order, "settled", 7, "msg_b")
    visitor.notify(order, "accepted", 4, "msg_a")
    told = visitor.told(order)
    assert (told["status"], told["sequence"], told["paid_by"]) == ("settled", 7, "notification msg_b")
    assert [one["applied"] for one in told["notifications"]] == [True, False]


def test_a_notification_may_come_before_the_answer_that_opens_the_payment(
    visitor: Visitor, service: FakeService
) -> None:
    service.answer = 503, {}
    visitor.pay(visitor.pick(*WHOLE))
    order = service.requests[0]["body"]["order"]
    visitor.notify(order, "settled", 3)
    assert visitor.told(order)["paid"] is True


def test_a_notification_of_another_payment_with_this_order_number_is_not_taken(visitor: Visitor) -> None:
    order = visitor.order()
    assert visitor.notify(order, "settled", 3, id="pay_of_somebody_else").get_json() == {"known": False}
    assert visitor.told(order)["paid"] is False


def test_a_notification_without_the_order_number_is_matched_by_the_payment(visitor: Visitor) -> None:
    order = visitor.order()
    visitor.notify("", "settled", 3, order_number=None)
    assert visitor.told(order)["paid"] is True


def test_what_is_not_about_an_order_here_is_kept_to_be_seen(visitor: Visitor) -> None:
    visitor.notify("PP-GONE", "settled", 1, "msg_old")
    visitor.deliver(json.dumps({"type": "payout.completed", "sequence": 1, "data": {"id": "po_1"}}), "msg_payout")
    kept = visitor.http.get("/notifications.json").get_json()["notifications"]
    assert [one["webhook_id"] for one in kept] == ["msg_old", "msg_payout"]


@pytest.mark.parametrize("body", ["[]", "nonsense", "{}", '{"type": "payment.settled"}', '{"type": 1, "sequence": 1}'])
def test_signed_content_that_is_no_notification_is_accepted_and_ignored(visitor: Visitor, body: str) -> None:
    assert visitor.deliver(body).status_code == 202


def test_a_notification_signed_by_somebody_else_is_401(visitor: Visitor) -> None:
    order = visitor.order()
    body = json.dumps({"type": "payment.settled", "sequence": 9, "data": {"id": "pay_1", "status": "settled"}})
    assert visitor.deliver(body, secret="whsec_" + "b3RoZXIgc2VjcmV0IGVudGlyZWx5ISEh").status_code == 401
    assert visitor.told(order)["notifications"] == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"webhook-id": "m", "webhook-timestamp": "x", "webhook-signature": "v1,AAAA"},
        {"webhook-id": "m", "webhook-timestamp": "NOW", "webhook-signature": "v1"},
        {"webhook-id": "m", "webhook-timestamp": "NOW", "webhook-signature": "v1,%%%,"},
        {"webhook-id": "m", "webhook-timestamp": "NOW", "webhook-signature": "v1,\u00e9"},
        {"webhook-id": "m", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"},
        {"webhook-id": "m", "webhook-timestamp": "9e99", "webhook-signature": "v1,AAAA"},
    ],
)
def test_every_malformed_signature_is_the_same_refusal(visitor: Visitor, headers: dict[str, str]) -> None:
    now = str(int(datetime.now(UTC).timestamp()))
    sent = {name: value.replace("NOW", now) for name, value in headers.items()}
    assert visitor.app.test_client().post("/notifications", data=b"{}", headers=sent).status_code == 401


def test_a_body_that_is_not_text_or_too_large_is_refused(visitor: Visitor) -> None:
    now = str(int(datetime.now(UTC).timestamp()))
    headers = {"webhook-id": "m", "webhook-timestamp": now, "webhook-signature": "v1,AAAA"}
    assert visitor.http.post("/notifications", data=b"\xff\xfe", headers=headers).status_code == 401
    assert visitor.http.post("/notifications", data=b"x" * 70_000, headers=headers).status_code == 413


def test_a_shop_without_a_secret_believes_nobody(service: FakeService) -> None:
    visitor = Visitor(create_app(Options(service.url, shop_notification_secret="")))
    assert visitor.deliver("{}").status_code == 503
