"""Transfers of the simulated Stables: from a quote to the bank, and every way they go astray."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.edges.test_simulator_stables_kit import (
    CUSTOMER,
    Port,
    bank,
    fresh,
    quote_body,
    simulated,
    transfer_body,
    wrong_fields,
)

PURPOSES = [
    "PAYMENT_FOR_SERVICES",
    "PAYMENT_FOR_SOFTWARE",
    "PAYMENT_FOR_IMPORTED_GOODS",
    "TRAVEL_SERVICES",
    "VENDOR_CONTRACTOR_PAYOUTS",
    "TRANSFER_TO_OWN_ACCOUNT",
    "INVESTMENT_IN_SHARES",
    "PURCHASE_OF_PROPERTY",
    "REPAYMENT_OF_LOANS",
    "SALARY",
    "PAYMENT_OF_PROPERTY_RENTAL",
    "INFORMATION_SERVICE_CHARGES",
    "ADVERTISING_PR_EXPENSES",
    "ROYALTY_FEES",
    "BROKER_COMMITMENT_FEES",
    "ADVISOR_TECHNICAL_FEES",
    "REPRESENTATIVE_OFFICE_EXPENSES",
    "TAX_PAYMENT",
    "TRANSPORTATION_FEES_FOR_GOODS",
    "CONSTRUCTION_COSTS",
    "INSURANCE_PREMIUM",
    "GENERAL_GOODS_TRADES",
    "INSURANCE_CLAIMS_PAYMENT",
    "FAMILY_MAINTENANCE",
    "EDUCATION_EXPENSES",
    "MEDICAL_TREATMENT",
    "DONATIONS",
    "MUTUAL_FUND_INVESTMENT",
    "CURRENCY_EXCHANGE",
    "USER_WITHDRAWAL",
    "ADVANCE_PAYMENTS_FOR_GOODS",
    "VENDOR_CONTRACTOR_SOFTWARE_PAYOUTS",
    "MERCHANT_SETTLEMENT",
    "REPATRIATION_FUND_SETTLEMENT",
    "PERSONAL_REMITTANCE",
    "RETURN_OF_FUNDS",
]


@pytest.fixture(scope="module")
def running() -> Iterator[Port]:
    with simulated() as port:
        yield port


@pytest.fixture
def port(running: Port) -> Port:
    return fresh(running)


def test_a_transfer_goes_from_quote_to_bank_and_every_state_is_kept(port: Port) -> None:
    quote = port.quote(amount="9.71")
    transfer = port.transfer(quote_id=quote["quote_id"])
    assert transfer["status"] == "created"
    assert transfer["destination"] == {
        "amount": quote["destination"]["amount"],
        "currency": "eur",
        "network": "bank",
        "account_holder_name": "Demo Merchant GmbH",
        "iban": "DE89370400440532013000",
        "bank_name": "Commerzbank",
        "bank_country": "DE",
    }
    assert transfer["metadata"] == {"installation": "i-1", "payout": "p-1", "attempt": "a-1"}
    ident = transfer["id"]
    assert port.status(ident) == "awaiting_funds_collection"
    answer = port.deposit(ident)
    assert answer.status_code == 202
    assert set(answer.json()) == {"transfer_id", "simulation_id", "scenario", "deposit_status"}
    assert port.status(ident) == "completed"
    kept = port.kept(ident)
    assert [move["status"] for move in kept["moves"]] == [
        "created",
        "awaiting_funds_collection",
        "funds_collected",
        "payment_submitted",
        "payment_processed",
        "completed",
    ]
    assert kept["deposits"]["count"] == 1
    credit = port.control("bank")[0]
    assert credit["amount"] == quote["destination"]["amount"]
    assert credit["transfer_id"] == ident


def test_all_thirty_six_purpose_codes_are_accepted_and_an_unknown_one_is_refused(port: Port) -> None:
    assert len(set(PURPOSES)) == 36
    for purpose in PURPOSES:
        port.transfer(purpose_code=purpose)
    for wrong in ("MERCHANT", "merchant_settlement", "", 7):
        refused = port.post("transfer", transfer_body(port.quote()["quote_id"], purpose_code=wrong))
        assert refused.status_code == 400
        assert wrong_fields(refused) == {"purpose_code"}


def test_a_purpose_code_is_needed_unless_the_switch_is_off(port: Port) -> None:
    body = transfer_body(port.quote()["quote_id"], purpose_code=None)
    assert wrong_fields(port.post("transfer", body)) == {"purpose_code"}
    port.switch(purpose_code_required=False)
    assert port.post("transfer", body).status_code == 200


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": "card"}, "type"),
        ({"account_holder_name": None}, "account_holder_name"),
        ({"bank_name": " "}, "bank_name"),
        ({"bank_country": "DEU"}, "bank_country"),
        ({"currency": "EURO"}, "currency"),
        ({"currency": "GBP"}, "currency"),
        ({"iban": None}, "account_number"),
        ({"iban": 5}, "iban"),
        ({"account_type": "current"}, "account_type"),
        (
            {"address": {"street": "a", "city": "b", "state": "c", "postal_code": "d", "country": "DE"}},
            "address.country",
        ),
        ({"address": {"street": "a"}}, "address.city"),
    ],
)
def test_a_destination_is_read_strictly(port: Port, changes: dict[str, Any], field: str) -> None:
    refused = port.post("transfer", transfer_body(port.quote()["quote_id"], destination=bank(**changes)))
    assert refused.status_code == 400
    assert f"destination.{field}" in wrong_fields(refused)


@pytest.mark.parametrize("metadata", [{"n": 1}, {"n": None}, [], "text"])
def test_metadata_is_an_object_of_strings(port: Port, metadata: object) -> None:
    refused = port.post("transfer", transfer_body(port.quote()["quote_id"], metadata=metadata))
    assert refused.status_code == 400


def test_beneficiary_extras_are_asked_for_where_the_switch_says(port: Port) -> None:
    port.switch(beneficiary_extras_required=True)
    quote_id = port.quote()["quote_id"]
    refused = port.post("transfer", transfer_body(quote_id))
    assert wrong_fields(refused) == {"destination.recipient_type", "destination.address"}
    address = {"street": "a 1", "city": "b", "state": "c", "postal_code": "d", "country": "de"}
    destination = bank(recipient_type="business", address=address)
    made = port.post("transfer", transfer_body(quote_id, destination=destination))
    assert made.json()["destination"]["address"] == address


def test_unknown_used_and_expired_quotes_are_told_apart(port: Port) -> None:
    unknown = port.post("transfer", transfer_body(str(uuid.uuid4())))
    assert (unknown.status_code, unknown.json()["message"]) == (404, "Quote not found")
    used = port.transfer()["quote_id"]
    again = port.post("transfer", transfer_body(used))
    assert (again.status_code, again.json()["message"]) == (422, "Quote has already been used")
    port.switch(quote_life_s=0.0)
    late = port.post("transfer", transfer_body(port.quote()["quote_id"]))
    assert (late.status_code, late.json()["message"]) == (422, "Quote has expired")


@pytest.mark.parametrize(
    ("positions", "status"),
    [
        ({"customer_payout": "absent"}, 422),
        ({"customer_payout": "in_progress"}, 422),
        ({"customer_verification": "rejected", "not_entitled_answer": 403}, 403),
        ({"risk_error": "sanctions_match"}, 422),
        ({"transfer_max": "99"}, 400),
    ],
)
def test_a_transfer_is_refused_for_its_customer_its_risk_or_its_size(
    port: Port, positions: dict[str, object], status: int
) -> None:
    quote_id = port.quote()["quote_id"]
    port.switch(**positions)
    assert port.post("transfer", transfer_body(quote_id)).status_code == status
    assert port.control("transfers") == []


def test_a_customer_nobody_knows_is_404(port: Port) -> None:
    refused = port.post("transfer", transfer_body(port.quote()["quote_id"], customer_id=str(uuid.uuid4())))
    assert (refused.status_code, refused.json()["message"]) == (404, "Customer not found")


def test_two_deposits_to_one_address_are_counted_as_two(port: Port) -> None:
    port.switch(collect_s=3600.0)
    ident = port.transfer()["id"]
    assert port.status(ident) == "awaiting_funds_collection"
    assert [port.deposit(ident).status_code for _ in range(2)] == [202, 202]
    deposits = port.kept(ident)["deposits"]
    assert (deposits["count"], deposits["sum"]) == (2, "200")


def test_a_deposit_is_refused_and_not_counted_when_nothing_is_awaited(port: Port) -> None:
    ident = port.transfer()["id"]
    port.status(ident)
    assert port.deposit(ident).status_code == 202
    assert port.status(ident) == "completed"
    assert port.deposit(ident).status_code == 409
    assert port.deposit(str(uuid.uuid4())).status_code == 404
    assert port.kept(ident)["deposits"]["count"] == 1


def test_money_on_the_chain_is_counted_whenever_and_whatever_it_is(port: Port) -> None:
    transfer = port.transfer()
    ident = transfer["id"]
    address = transfer["source_deposit_instructions"]["wallet_address"]
    port.status(ident)
    port.control("deposits", address=address, amount="99.999999")
    assert port.status(ident) == "awaiting_funds_collection"
    port.control("deposits", address=address, amount="0.000001")
    assert port.status(ident) == "completed"
    port.control("deposits", transfer=ident)
    deposits = port.kept(ident)["deposits"]
    assert (deposits["count"], deposits["sum"]) == (3, "200")
    assert deposits["each"][2]["status_then"] == "completed"


def test_an_unfunded_transfer_expires_at_the_end_of_its_window(port: Port) -> None:
    port.switch(funding_window_s=0.1)
    ident = port.transfer()["id"]
    port.until(lambda: port.status(ident) == "expired")
    assert port.deposit(ident).status_code == 409


def test_the_window_is_fifteen_minutes_or_the_quotes_own_life(port: Port) -> None:
    kept = port.kept(port.transfer()["id"])
    window = datetime.fromisoformat(kept["expires_at"]) - datetime.fromisoformat(kept["created_at"])
    assert window == timedelta(seconds=900)
    port.switch(transfer_dies_with_quote=True)
    quote = port.quote()
    kept = port.kept(port.transfer(quote_id=quote["quote_id"])["id"])
    assert datetime.fromisoformat(kept["expires_at"]) - datetime.fromisoformat(quote["expires_at"]) < timedelta(
        milliseconds=1
    )


@pytest.mark.parametrize(
    ("ends_as", "after"),
    [
        ("failed", "funds_collected"),
        ("failed", "payment_processed"),
        ("cancelled", "awaiting_funds_collection"),
        ("expired", "created"),
        ("compliance_hold", "funds_collected"),
        ("unknown", "payment_submitted"),
        ("in_progress", "funds_collected"),
    ],
)
def test_a_transfer_leaves_the_path_where_the_switch_says(port: Port, ends_as: str, after: str) -> None:
    ident = port.transfer()["id"]
    assert port.status(ident) == "awaiting_funds_collection"
    if after in ("created", "awaiting_funds_collection"):
        port.switch(ends_as=ends_as, diverts_after=after)
        ident = port.transfer()["id"]
    else:
        port.switch(ends_as=ends_as, diverts_after=after)
        port.deposit(ident)
    assert port.status(ident) == ends_as
    if after != "created":
        assert port.kept(ident)["moves"][-2]["status"] == after


def test_a_hold_can_be_lifted_after_a_while_and_the_path_goes_on(port: Port) -> None:
    port.switch(ends_as="compliance_hold", diverts_after="awaiting_funds_collection", detour_s=0.05)
    ident = port.transfer()["id"]
    port.status(ident)
    port.until(lambda: port.status(ident) == "awaiting_funds_collection")
    port.deposit(ident)
    port.until(lambda: port.status(ident) == "completed")
    words = [move["status"] for move in port.kept(ident)["moves"]]
    assert words[1:4] == ["awaiting_funds_collection", "compliance_hold", "awaiting_funds_collection"]


def test_money_that_came_during_a_hold_is_collected_after_it(port: Port) -> None:
    port.switch(ends_as="compliance_hold", diverts_after="awaiting_funds_collection", detour_s=0.2)
    ident = port.transfer()["id"]
    port.until(lambda: port.status(ident) == "compliance_hold")
    port.control("deposits", transfer=ident)
    port.until(lambda: port.status(ident) == "completed")
    assert port.kept(ident)["deposits"]["count"] == 1


def test_a_waiting_transfer_can_be_made_to_fail_when_its_money_comes(port: Port) -> None:
    ident = port.transfer()["id"]
    assert port.status(ident) == "awaiting_funds_collection"
    port.switch(ends_as="failed", diverts_after="awaiting_funds_collection")
    assert port.deposit(ident).status_code == 202
    assert port.status(ident) == "failed"


def test_pounds_can_fail_at_the_transfer_instead_of_the_quote(port: Port) -> None:
    port.switch(gbp_500="transfers")
    quote_id = port.quote(fiat="GBP", country="GB", amount="70")["quote_id"]
    destination = bank(iban=None, account_number="12345678", sort_code="200000", currency="GBP")
    assert port.post("transfer", transfer_body(quote_id, destination=destination)).status_code == 500


def test_the_sandboxes_other_corridors_stay_in_progress(port: Port) -> None:
    port.switch(sandbox_corridors=True)
    quote = port.quote(quote_body(fiat="MXN", country="MX"))
    ident = port.transfer(quote_id=quote["quote_id"], destination=bank(currency="MXN"))["id"]
    port.status(ident)
    port.deposit(ident)
    assert port.status(ident) == "in_progress"


def test_the_control_plane_sets_any_status(port: Port) -> None:
    ident = port.transfer()["id"]
    for word in ("compliance_hold", "failed", "unknown", "cancelled"):
        assert port.control(f"transfers/{ident}/status", status=word)["status"] == word
        assert port.status(ident) == word
    wrong = port.http.post(f"/_control/transfers/{ident}/status", json={"status": "returned"})
    assert wrong.status_code == 400


def test_bank_details_can_be_checked_and_the_answer_is_always_200(port: Port) -> None:
    def check(**changes: Any) -> Any:
        answer = port.http.post(
            "/api/v1/payment-methods/validate", json={"network": "bank", "destination": bank(**changes)}
        )
        assert answer.status_code == 200
        return answer.json()

    assert check() == {"valid": True, "errors": []}
    assert check(type=None)["valid"] is True
    assert check(currency="JPY")["errors"][0]["code"] == "UNSUPPORTED_CURRENCY"
    assert check(iban=None)["errors"][0]["code"] == "INVALID_FIELDS"
    other = port.http.post("/api/v1/payment-methods/validate", json={"network": "card", "destination": bank()})
    assert other.json()["errors"][0]["code"] == "UNSUPPORTED_PAYMENT_METHOD"


def test_a_transfer_needs_the_customer_it_names(port: Port) -> None:
    assert port.transfer()["customer_id"] == CUSTOMER
