"""What the simulated Stables has for onboarding: reasons, links, the allowlist, the bank check, the delivery log."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.edges.test_simulator_stables_kit import Port, bank, simulated

BUSINESS = {"customer_type": "business", "email": "ops@quay.example", "external_customer_id": "shop"}


@pytest.fixture
def port() -> Iterator[Port]:
    with simulated(review_s=100_000.0) as made:
        yield made


def test_a_level_has_the_reasons_it_was_given_and_loses_them_with_the_next_verdict(port: Port) -> None:
    ident = port.post("customer", BUSINESS).json()["customer_id"]
    port.control(f"customers/{ident}", verification="requires_action", sub_status=["FILE_EMPTY"])
    (level,) = port.get(f"customers/{ident}").json()["verification_levels"]
    assert level == {"level": "business_base", "status": "requires_action", "sub_status": ["FILE_EMPTY"]}
    port.control(f"customers/{ident}", verification="approved")
    assert "sub_status" not in port.get(f"customers/{ident}").json()["verification_levels"][0]
    for wrong in (["TOO_LATE"], "FILE_EMPTY"):
        asked = {"verification": "approved", "sub_status": wrong}
        assert port.http.post(f"/_control/customers/{ident}", json=asked).status_code == 400


def test_a_link_for_a_customer_that_is_there_is_a_conflict_or_by_switch_a_link(port: Port) -> None:
    made = port.post("customer/verification/link", BUSINESS).json()
    assert port.post("customer/verification/link", BUSINESS).status_code == 409
    port.switch(link_for_existing="link")
    assert port.post("customer/verification/link", BUSINESS).json()["customer_id"] == made["customer_id"]
    assert port.http.get(made["kyc_link"]).status_code == 200


def test_an_address_that_is_not_allowed_is_refused_everywhere(port: Port) -> None:
    port.switch(ip_allowed=False)
    for answer in (port.get("customers"), port.post("customer", BUSINESS), port.get("webhooks")):
        assert (answer.status_code, answer.json()["error"]) == (403, "Forbidden")
    port.switch(ip_allowed=True)
    assert port.get("customers").status_code == 200


def test_the_check_of_bank_details_can_find_a_field_bad_and_quotes_it(port: Port) -> None:
    good = {"network": "bank", "destination": bank()}
    assert port.http.post("/api/v1/payment-methods/validate", json=good).json() == {"valid": True, "errors": []}
    port.switch(validate_refuses="iban")
    found = port.http.post("/api/v1/payment-methods/validate", json=good).json()
    assert (found["valid"], found["errors"][0]["field"]) == (False, "iban")
    assert bank()["iban"] in found["errors"][0]["message"]


def test_the_delivery_log_has_pages_and_filters(port: Port) -> None:
    port.switch(subscriptions_deliver=True, other_webhooks=True, webhooks=False)
    wanted = {"name": "n", "url": port.service.url + "/hook", "eventTypes": ["all"], "secret": "s"}
    ident = port.post("webhooks", wanted).json()["subscription"]["subscriptionId"]
    for number in range(3):
        port.post("customer", {**BUSINESS, "external_customer_id": f"shop-{number}"})
    port.until(lambda: len(port.get("webhooks/deliveries", pageSize=50, status="SUCCESS").json()["deliveries"]) == 6)
    first = port.get(f"webhooks/{ident}/deliveries", pageSize=4).json()
    rest = port.get(f"webhooks/{ident}/deliveries", pageSize=4, pageToken=first["page"]["nextPageToken"]).json()
    idents = [int(one["deliveryId"]) for one in (*first["deliveries"], *rest["deliveries"])]
    assert idents == sorted(idents, reverse=True)
    assert (len(idents), rest["page"]) == (6, {"nextPageToken": "", "total": 6})
    assert port.get("webhooks/deliveries", status="FAILED").json()["deliveries"] == []
    made = port.get("webhooks/deliveries", eventType="customer.created").json()["deliveries"]
    assert len(made) == 3
    assert port.get("webhooks/deliveries", pageSize=51).status_code == 400
    assert port.get("webhooks/deliveries", status="LOST").status_code == 400
    port.switch(list_only=True)
    assert port.get("webhooks/deliveries").status_code == 404
