"""Customers and webhook subscriptions of the simulated Stables."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.edges.test_simulator_stables_kit import CUSTOMER, Port, fresh, simulated, wrong_fields


@pytest.fixture(scope="module")
def running() -> Iterator[Port]:
    with simulated(other_webhooks=True) as port:
        yield port


@pytest.fixture
def port(running: Port) -> Port:
    return fresh(running)


def business(**changes: Any) -> dict[str, Any]:
    return {
        "external_customer_id": "shop-7",
        "customer_type": "business",
        "email": "office@shop.example",
        "company_name": "Shop Seven",
        "entitlements": ["base_payout"],
        **changes,
    }


def verified(port: Port, ident: str) -> tuple[str, dict[str, str]]:
    """A customer's verification and entitlements."""
    customer = port.get(f"customers/{ident}").json()
    return customer["verification_levels"][0]["status"], {
        one["name"]: one["status"] for one in customer["entitlements"]
    }


def test_one_business_customer_is_approved_from_the_start(port: Port) -> None:
    listed = port.get("customers").json()["customers"]
    assert [one["customer_id"] for one in listed] == [CUSTOMER]
    assert listed[0] == port.get(f"customers/{CUSTOMER}").json()
    assert listed[0]["customer_type"] == "business"
    assert listed[0]["verification_levels"] == [{"level": "business_base", "status": "approved"}]
    assert listed[0]["entitlements"] == [{"name": "base_payout", "status": "approved"}]


@pytest.mark.parametrize("review", ["approved", "in_progress", "rejected", "requires_action"])
def test_its_verification_follows_the_switch(port: Port, review: str) -> None:
    port.switch(customer_verification=review)
    assert verified(port, CUSTOMER) == (review, {"base_payout": "approved"})


def test_its_entitlement_follows_the_switch_and_comes_back(port: Port) -> None:
    for payout in ("submitted", "in_progress", "rejected"):
        port.switch(customer_payout=payout)
        assert verified(port, CUSTOMER)[1] == {"base_payout": payout}
    port.switch(customer_payout="absent")
    assert verified(port, CUSTOMER)[1] == {}
    port.switch(customer_payout="approved")
    assert verified(port, CUSTOMER)[1] == {"base_payout": "approved"}


@pytest.mark.parametrize("verdict", ["approved", "rejected", "requires_action"])
def test_a_new_customer_is_reviewed_and_the_verdict_is_told(port: Port, verdict: str) -> None:
    port.switch(new_customers_become=verdict, review_s=0.1)
    made = port.post("customer", business())
    assert made.status_code == 200
    ident = made.json()["customer_id"]
    assert made.json()["verification_levels"][0]["status"] == "in_progress"
    port.until(lambda: verified(port, ident)[0] == verdict)
    payout = verified(port, ident)[1]["base_payout"]
    assert payout == {"requires_action": "in_progress"}.get(verdict, verdict)
    kinds = [hook.event["event_type"] for hook in port.service.wait(3)]
    assert sorted(kinds) == ["customer.created", *["kyc_link.updated.status_transitioned"] * 2]


def test_an_external_id_is_taken_once(port: Port) -> None:
    assert port.post("customer", business()).status_code == 200
    conflict = port.post("customer", business(email="other@shop.example"))
    assert conflict.status_code == 409
    assert conflict.json()["error"] == "Conflict"
    assert port.post("customer/verification/link", business()).status_code == 409


def test_a_customer_is_read_strictly_where_the_openapi_is_strict(port: Port) -> None:
    port.switch(error_shape="code_fields")
    wrong = business(customer_type="shop", email="x", phone="0171", entitlements=["payout"], metadata={"n": 1})
    assert wrong_fields(port.post("customer", wrong)) == {
        "customer_type",
        "email",
        "phone",
        "entitlements.0",
        "metadata.n",
    }


def test_a_link_makes_a_customer_and_says_where_to_go(port: Port) -> None:
    answer = port.post(
        "customer/verification/link",
        {"customer_type": "individual", "redirect": {"success_url": "https://shop.example/ok"}},
    ).json()
    assert port.get(f"customers/{answer['customer_id']}").json()["customer_type"] == "individual"
    assert port.http.get(answer["kyc_link"]).status_code == 200


def test_a_customer_can_be_changed_and_an_unknown_one_cannot(port: Port) -> None:
    ident = port.post("customer", business()).json()["customer_id"]
    body = {"company_name": "Shop Eight", "entitlements": ["virtual_account"], "metadata": {"a": "b"}}
    changed = port.http.patch(f"/api/v1/customer/{ident}", json=body)
    assert changed.status_code == 200
    assert changed.json()["company_name"] == "Shop Eight"
    assert {one["name"] for one in changed.json()["entitlements"]} == {"base_payout", "virtual_account"}
    assert port.http.patch(f"/api/v1/customer/{uuid.uuid4()}", json=body).status_code == 404
    assert port.get(f"customers/{uuid.uuid4()}").status_code == 404
    assert port.http.patch(f"/api/v1/customer/{ident}", json={"email": 1}).status_code == 400


def test_a_rejected_customer_who_sends_again_is_looked_at_again(port: Port) -> None:
    port.switch(new_customers_become="rejected")
    ident = port.post("customer", business()).json()["customer_id"]
    port.until(lambda: verified(port, ident)[0] == "rejected")
    port.switch(new_customers_become="approved")
    port.http.patch(f"/api/v1/customer/{ident}", json={"company_name": "Shop Seven"})
    port.until(lambda: verified(port, ident)[0] == "approved")


def test_the_control_plane_ends_a_review(port: Port) -> None:
    port.switch(review_s=3600.0)
    ident = port.post("customer", business()).json()["customer_id"]
    port.control(f"customers/{ident}", verification="approved")
    assert verified(port, ident) == ("approved", {"base_payout": "approved"})
    port.control(f"customers/{CUSTOMER}", verification="approved", base_payout="rejected")
    assert verified(port, CUSTOMER) == ("approved", {"base_payout": "rejected"})
    wrong = port.http.post(f"/_control/customers/{ident}", json={"verification": "maybe"})
    assert wrong.status_code == 400


def subscription(**changes: Any) -> dict[str, Any]:
    return {"name": "mine", "url": "https://service.example/hooks", "eventTypes": ["all"], **changes}


def test_subscriptions_are_made_paged_in_camel_case_and_deleted(port: Port) -> None:
    made = [port.post("webhooks", subscription(name=str(n), secret="s3cret")) for n in range(3)]
    assert "s3cret" not in made[0].text
    idents = [one.json()["subscription"]["subscriptionId"] for one in made]
    first = port.get("webhooks", pageSize=2).json()
    assert [one["subscriptionId"] for one in first["subscriptions"]] == idents[:0:-1]
    second = port.get("webhooks", pageSize=2, pageToken=first["page"]["nextPageToken"]).json()
    assert [one["subscriptionId"] for one in second["subscriptions"]] == idents[:1]
    assert second["page"] == {"nextPageToken": "", "total": 3}
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    assert port.http.delete(f"/api/v1/webhooks/{idents[0]}", headers=headers).json() == {}
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    assert port.http.delete(f"/api/v1/webhooks/{idents[0]}", headers=headers).status_code == 404


def test_a_subscription_needs_known_event_types_and_a_url(port: Port) -> None:
    port.switch(error_shape="code_fields")
    wrong = port.post("webhooks", {"url": "ftp://x", "eventTypes": ["transfer.created", "rfi.created"]})
    assert wrong_fields(wrong) == {"name", "url", "eventTypes.1"}
