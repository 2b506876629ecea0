"""The storefront's door to refunds: it asks, gives details and looks; it can approve nothing, and is shown nothing personal."""

from __future__ import annotations

import json
from typing import Any

import pytest
from werkzeug.test import TestResponse

from checkout.paying.customers import Person
from tests.edges.api_fixtures import Api, api, fresh_key, named, problem

__all__ = ["api"]

DETAILS = {
    "user_ip": "203.0.113.7", "creditor_account": "DE89370400440532013000", "creditor_name": "Ada Lovelace",
    "creditor_country": "DE", "remittance": "Refund of PP-1042",
}  # fmt: skip


def settled(api: Api, **changes: Any) -> str:
    """A settled payment of a customer the shop manages; its id."""
    person = Person("shopper-1", "ada@shop.example", "DE", {})
    answer = api.system.pay(**{"flow": "hosted_partner", "customer": person, **changes})
    api.system.hear(api.system.sessions(answer.payment.id)[0], "completed")
    return answer.payment.id


def ask(api: Api, payment: str, body: Any, key: str | None = None, **headers: str) -> TestResponse:
    sent = api.headers(**{"Idempotency-Key": key or fresh_key(), **headers})
    return api.client.post(
        f"/v1/payments/{payment}/refunds", data=json.dumps(body), headers=sent, content_type="application/json"
    )


def give(api: Api, payment: str, refund: str, body: Any) -> TestResponse:
    return api.client.post(f"/v1/payments/{payment}/refunds/{refund}/details", json=body, headers=api.headers())


def test_a_refund_is_asked_for_and_read_and_sends_nothing(api: Api) -> None:
    payment = settled(api)
    asked = ask(api, payment, {"amount": "4.00", **DETAILS})
    assert asked.status_code == 201
    found = asked.get_json()
    assert {name: found[name] for name in ("payment", "status", "amount", "currency", "approved", "missing")} == {
        "payment": payment, "status": "requested", "amount": "4.00", "currency": "EUR", "approved": False, "missing": [],
    }  # fmt: skip
    assert asked.headers["Location"] == f"http://127.0.0.1:8000/v1/payments/{payment}/refunds/{found['id']}"
    assert api.get(f"/v1/payments/{payment}/refunds/{found['id']}").get_json() == found
    assert api.get(f"/v1/payments/{payment}/refunds").get_json() == {"data": [found], "has_more": False}
    api.system.work()
    assert not [one for one in api.system.mint.requests if "withdrawalReason" in one]
    for text in (asked.text, api.get(f"/v1/payments/{payment}/refunds").text):
        assert not [one for one in ("Lovelace", "203.0.113.7", "DE8937", "Refund of PP") if one in text]


def test_the_same_key_is_the_same_refund_and_other_content_is_refused(api: Api) -> None:
    payment = settled(api)
    first = ask(api, payment, {"amount": "4.00", **DETAILS}, "k-1")
    again = ask(api, payment, {"amount": "4.00", **DETAILS}, "k-1")
    assert (again.status_code, again.get_json()) == (200, first.get_json())
    problem(ask(api, payment, {"amount": "5.00", **DETAILS}, "k-1"), 409, "idempotency-key-reused")


def test_what_is_missing_is_named_and_can_be_given(api: Api) -> None:
    payment = settled(api)
    asked = ask(api, payment, {"amount": "4.00", "creditor_name": "Ada Lovelace"}).get_json()
    assert asked["status"] == "needs_details"
    assert asked["missing"] == ["user_ip", "creditor_account", "creditor_country", "remittance"]
    done = give(api, payment, asked["id"], {name: text for name, text in DETAILS.items() if name != "creditor_name"})
    assert (done.status_code, done.get_json()["status"], done.get_json()["missing"]) == (200, "requested", [])
    api.system.services.refunds.approve(asked["id"], who="ann")
    problem(give(api, payment, asked["id"], {"user_ip": "203.0.113.8"}), 409, "not-possible")
    assert api.get(f"/v1/payments/{payment}/refunds/{asked['id']}").get_json()["approved"] is True


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": 4}, "amount"), ({"amount": "4,00"}, "amount"), ({"amount": "4.001"}, "amount"),
        ({"amount": "0"}, "amount"), ({"amount": None}, "amount"), ({"amount": "0.05"}, "amount"),
        ({"currency": "XXX"}, "currency"), ({"user_ip": "here"}, "user_ip"), ({"creditor_account": "!?!?"}, "creditor_account"),
        ({"creditor_account": "DE88370400440532013000"}, "creditor_account"), ({"creditor_country": "de"}, "creditor_country"),
        ({"remittance": "x" * 141}, "remittance"), ({"approve": "true"}, "approve"),
        ({"user_unique_id": "x"}, "user_unique_id"),
    ],
)  # fmt: skip
def test_every_bad_field_is_named_and_nothing_is_quoted(api: Api, change: dict[str, Any], field: str) -> None:
    payment = settled(api)
    found = problem(ask(api, payment, {"amount": "4.00", **DETAILS, **change}), 422, "request-refused")
    assert field in named(found)
    assert "DE8837" not in json.dumps(found)


def test_more_than_was_received_and_what_cannot_be_refunded_is_refused_in_words(api: Api) -> None:
    payment = settled(api)
    found = problem(ask(api, payment, {"amount": "9.01", **DETAILS}), 409, "not-possible")
    assert "EUR 9.01 is more than can be refunded" in found["detail"]
    managed = settled(api, flow="hosted", customer=None)
    found = problem(ask(api, managed, {"amount": "1.00"}), 409, "not-possible")
    assert "managed by Stable Mint" in found["detail"]


def test_another_stores_payment_and_refund_do_not_exist(api: Api) -> None:
    payment = settled(api)
    refund = ask(api, payment, {"amount": "4.00", **DETAILS}).get_json()["id"]
    other = api.system.services.stores.create("Other", ["https://other.example"], who="ann").api_key
    strange = {"Authorization": f"Bearer {other}", "Idempotency-Key": "k"}
    for answer in (
        api.client.get(f"/v1/payments/{payment}/refunds", headers=strange),
        api.client.get(f"/v1/payments/{payment}/refunds/{refund}", headers=strange),
        api.client.post(f"/v1/payments/{payment}/refunds", json={"amount": "1.00"}, headers=strange),
        api.client.post(f"/v1/payments/{payment}/refunds/{refund}/details", json=DETAILS, headers=strange),
        api.get(f"/v1/payments/{payment}/refunds/ref_none"),
        api.get(f"/v1/payments/{settled(api)}/refunds/{refund}"),
        api.get(f"/v1/payments/{payment}/refunds/%00"),
        ask(api, "pay_none", {"amount": "1.00"}),
    ):
        problem(answer, 404, "not-found")
    assert ask(api, payment, {"amount": "1.00"}, Authorization="Bearer nobody").status_code == 401


def test_the_key_is_required(api: Api) -> None:
    payment = settled(api)
    answer = api.client.post(f"/v1/payments/{payment}/refunds", json={"amount": "1.00"}, headers=api.headers())
    assert "Idempotency-Key" in named(problem(answer, 400, "bad-header"))


def test_a_limit_set_by_an_operator_lets_the_shop_refund_by_itself(api: Api) -> None:
    api.system.services.refund_resolving.rule("Shop", currency="EUR", limit="5.00", hosted_withdrawal=None, who="ann")
    payment = settled(api)
    first, second = (ask(api, payment, {"amount": "4.00", **DETAILS}).get_json() for _ in range(2))
    assert (first["approved"], second["approved"]) == (True, False)
    api.system.work()
    found = api.get(f"/v1/payments/{payment}/refunds").get_json()["data"]
    assert [one["status"] for one in found] == ["requested", "sending"]


def test_refunds_are_paged(api: Api) -> None:
    payment = settled(api)
    made = []
    for _ in range(3):
        made.append(ask(api, payment, {"amount": "1.00", **DETAILS}).get_json()["id"])
        api.system.clock.advance(seconds=1)
    page = api.get(f"/v1/payments/{payment}/refunds?limit=2").get_json()
    assert ([one["id"] for one in page["data"]], page["has_more"]) == ([made[2], made[1]], True)
    rest = api.get(f"/v1/payments/{payment}/refunds?starting_after={made[1]}").get_json()
    assert [one["id"] for one in rest["data"]] == [made[0]]


def test_the_api_has_no_way_to_approve_or_resolve(api: Api) -> None:
    rules = [one.rule for one in api.app.url_map.iter_rules() if "refunds" in one.rule]
    assert sorted(set(rules)) == [
        "/v1/payments/<payment_id>/refunds", "/v1/payments/<payment_id>/refunds/<refund_id>",
        "/v1/payments/<payment_id>/refunds/<refund_id>/details",
    ]  # fmt: skip
