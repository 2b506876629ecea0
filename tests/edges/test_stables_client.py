"""The Stables client: what is sent for a quote and a transfer, and how every answer is read."""

from __future__ import annotations

import copy
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.destinations.purpose_codes import PURPOSE_CODES
from checkout.errors import NotPossible, RequestRefused
from checkout.providers.outcome import Accepted, Declined, Unknown
from checkout.providers.stables_records import FeeLine, Quote, Transfer
from checkout.providers.stables_requests import bank_destination
from checkout.rules.money import Money
from tests.edges.stables_provider import (
    ADDRESS,
    API_KEY,
    BANK,
    CUSTOMER_ID,
    KEY,
    QUOTE,
    QUOTE_ID,
    TRANSFER,
    TRANSFER_ID,
    Provider,
    a_quote_request,
    a_transfer_request,
    stables,
    status,
    value_of,
)


def changed(answer: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return copy.deepcopy(answer) | changes


def quoted(answer: object) -> Any:
    return stables(Provider(answer)).create_quote(a_quote_request(), key=KEY)


def transferred(answer: object) -> Any:
    return stables(Provider(answer)).create_transfer(a_transfer_request(), key=KEY)


# -- what is sent


def test_a_quote_is_asked_for_in_the_documented_form() -> None:
    provider = Provider(QUOTE)
    stables(provider).create_quote(a_quote_request(metadata={"payout": "po-1"}), key=KEY)
    request = provider.requests[0]
    assert (request.method, request.url.path) == ("POST", "/api/v1/quotes")
    assert request.headers["authorization"] == f"Bearer {API_KEY}"
    assert request.headers["idempotency-key"] == KEY
    assert request.content == (
        b'{"source":{"currency":"USDT","network":"polygon","amount":"1000"},'
        b'"destination":{"currency":"EUR","country":"GR","network":"swift"},"metadata":{"payout":"po-1"}}'
    )


def test_a_transfer_is_asked_for_in_the_documented_form_with_its_purpose() -> None:
    provider = Provider(TRANSFER)
    stables(provider).create_transfer(a_transfer_request(), key=KEY)
    assert provider.requests[0].url.path == "/api/v1/transfer"
    assert provider.sent["purpose_code"] == "MERCHANT_SETTLEMENT"
    assert provider.sent["metadata"] == {"installation": "i-1", "payout": "po-1", "attempt": "at-1"}
    assert provider.sent["destination"]["type"] == "bank"
    assert provider.sent["destination"]["bank_country"] == "GR"
    assert provider.sent["destination"]["address"]["country"] == "gr"


@given(st.integers(min_value=1, max_value=10**15))
def test_the_amount_of_a_quote_is_exact_decimal_text(minor: int) -> None:
    provider = Provider(QUOTE, documented=False)
    stables(provider).create_quote(a_quote_request(source=Money(minor, "USDC")), key=KEY)
    text = provider.sent["source"]["amount"]
    assert isinstance(text, str)
    assert Decimal(text) * 10**6 == minor
    assert re.fullmatch(r"[0-9]+(\.[0-9]{0,5}[1-9])?", text)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"source": Money(1, "EUR")}, "source.currency"),
        ({"source": Money(0, "USDC")}, "source.amount"),
        ({"source_network": "Polygon"}, "source.network"),
        ({"currency": "eur"}, "destination.currency"),
        ({"currency": "NGN"}, "destination.currency"),
        ({"country": "gr"}, "destination.country"),
        ({"network": "sepa"}, "destination.network"),
        ({"metadata": {"n": 5}}, "metadata.n"),
    ],
)
def test_a_quote_is_checked_before_it_is_sent(changes: dict[str, Any], field: str) -> None:
    provider = Provider(QUOTE)
    with pytest.raises(RequestRefused) as caught:
        stables(provider).create_quote(a_quote_request(**changes), key=KEY)
    assert set(caught.value.fields) == {field}
    assert provider.requests == []


def without(name: str) -> dict[str, object]:
    return {key: value for key, value in BANK.items() if key != name}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"quote_id": "q"}, "quote_id"),
        ({"customer_id": ""}, "customer_id"),
        ({"purpose_code": "RENT"}, "purpose_code"),
        ({"metadata": {"installation": "i", "payout": "p"}}, "metadata.attempt"),
        ({"metadata": {"installation": "i", "payout": "p", "attempt": 1}}, "metadata.attempt"),
        ({"bank": without("bank_name")}, "bank.bank_name"),
        ({"bank": without("iban")}, "bank.account_number"),
        ({"bank": BANK | {"type": "wallet"}}, "bank.type"),
        ({"bank": BANK | {"sortcode": "1"}}, "bank.sortcode"),
        ({"bank": BANK | {"bank_country": "gr"}}, "bank.bank_country"),
        ({"bank": BANK | {"currency": "eur"}}, "bank.currency"),
        ({"bank": BANK | {"account_type": "current"}}, "bank.account_type"),
        ({"bank": BANK | {"date_of_birth": "6.5.1980"}}, "bank.date_of_birth"),
        ({"bank": BANK | {"iban": 5}}, "bank.iban"),
        ({"bank": BANK | {"iban": " "}}, "bank.iban"),
        ({"bank": BANK | {"bank_name": "\ud800"}}, "bank.bank_name"),
        ({"bank": BANK | {"bank_name": "x" * 501}}, "bank.bank_name"),
        ({"bank": BANK | {"alias": "a@b.example"}}, "bank.alias_type"),
        ({"bank": BANK | {"address": "Odos 1"}}, "bank.address"),
        ({"bank": BANK | {"address": {"street": "x", "city": "x", "state": "x", "postal_code": "1", "country": "zz"}}},
         "bank.address.country"),
    ],
)  # fmt: skip
def test_a_transfer_is_checked_before_it_is_sent(changes: dict[str, Any], field: str) -> None:
    provider = Provider(TRANSFER)
    with pytest.raises(RequestRefused) as caught:
        stables(provider).create_transfer(a_transfer_request(**changes), key=KEY)
    assert set(caught.value.fields) == {field}
    assert provider.requests == []


def test_an_address_is_complete_and_has_no_other_fields() -> None:
    with pytest.raises(RequestRefused) as caught:
        bank_destination(BANK | {"address": {"street": "x", "zip": "1"}})
    assert set(caught.value.fields) == {
        "bank.address.zip", "bank.address.city", "bank.address.state", "bank.address.postal_code",
        "bank.address.country",
    }  # fmt: skip


def test_the_purpose_codes_are_the_36_documented_ones() -> None:
    assert len(PURPOSE_CODES) == 36


@pytest.mark.parametrize(
    "call",
    [
        {"name": "create_quote", "body": {}},  # no key
        {"name": "create_quote", "body": {}, "key": "not a uuid"},
        {"name": "create_quote", "body": {}, "key": "12bd9e7c-02fe-1ea9-84e2-52264aaf8790"},  # version 1
        {"name": "create_quote", "key": KEY},  # no body
        {"name": "read_customer"},  # no path
        {"name": "read_customer", "path": {"customerId": ""}},
        {"name": "read_customer", "path": {"customerId": ".."}},
        {"name": "read_customer", "path": {"customerId": "x"}, "query": {"mine": "1"}},
        {"name": "read_customer", "path": {"customerId": "x"}, "body": {}},
        {"name": "list_transfers", "query": {"status": "CREATED"}},  # no type
    ],
)
def test_a_call_outside_the_table_is_our_mistake_and_is_not_sent(call: dict[str, Any]) -> None:
    provider = Provider()
    with pytest.raises(ValueError, match=call["name"]):
        stables(provider).call(**call)
    assert provider.requests == []


def test_an_id_cannot_leave_its_place_in_the_path() -> None:
    provider = Provider(status(404), documented=False)
    stables(provider).call("read_customer", path={"customerId": "a/../b?c#d"})
    assert provider.requests[0].url.raw_path == b"/api/v1/customers/a%2F..%2Fb%3Fc%23d"


# -- quotes heard


def test_a_quote_is_read_exactly() -> None:
    quote: Quote = value_of(quoted(QUOTE))
    assert (quote.id, quote.status, quote.rate) == (QUOTE_ID, "active", "0.922")
    assert (quote.source, quote.source_network) == (Money(1_000_000_000, "USDT"), "polygon")
    assert (quote.credit, quote.credit_network) == (Money(92050, "EUR"), "swift")
    assert quote.expires_at == datetime(2026, 11, 21, 12, 5, 0, 123000, tzinfo=UTC)
    assert quote.fees[0] == FeeLine("fx_fee", "EUR", "0.50")
    assert [line.name for line in quote.fees] == list(QUOTE["fees"])
    assert json.loads(quote.raw) == QUOTE


def test_a_quote_may_come_in_camel_case_with_numbers_and_unknown_fields() -> None:
    answer = (
        b'{"quoteId":"q-1","source":{"currency":"USDC","network":"Polygon","amount":9.71},'
        b'"destination":{"currency":"EUR","network":"SWIFT","amount":1.05e1},"fees":null,"exchangeRate":"0.9220",'
        b'"expiresAt":"2026-11-21T12:05:00","status":"QUOTE_STATUS_ACTIVE","surprise":[1]}'
    )
    quote: Quote = value_of(quoted(answer))
    assert (quote.id, quote.source, quote.source_network) == ("q-1", Money(9_710_000, "USDC"), "polygon")
    assert (quote.credit, quote.rate, quote.fees) == (Money(1050, "EUR"), "0.9220", ())
    assert (quote.status, quote.created_at) == ("active", None)
    assert quote.expires_at == datetime(2026, 11, 21, 12, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "changes",
    [
        {"quote_id": None}, {"quote_id": 5}, {"quote_id": ""}, {"source": None}, {"source": []}, {"destination": "x"},
        {"exchange_rate": None}, {"exchange_rate": True}, {"exchange_rate": "high"}, {"expires_at": None},
        {"expires_at": "soon"}, {"fees": []}, {"fees": {"fx_fee": {"currency": "eur"}}}, {"status": 5},
        {"destination": {"currency": "eur", "amount": "920.505"}}, {"destination": {"currency": "ngn", "amount": "1"}},
        {"destination": {"currency": "eur", "amount": "-1"}}, {"destination": {"currency": "eur", "amount": {}}},
        {"destination": {"amount": "1"}}, {"destination": {"currency": "eur"}},
    ],
)  # fmt: skip
def test_a_quote_that_contradicts_itself_is_unknown_and_never_an_exception(changes: dict[str, Any]) -> None:
    outcome = quoted(changed(QUOTE, **changes))
    assert isinstance(outcome, Unknown)
    assert outcome.reason.startswith("incomplete answer")
    assert outcome.status == 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([QUOTE, TRANSFER]), st.data())
def test_no_answer_at_all_raises(answer: dict[str, Any], data: st.DataObject) -> None:
    broken = copy.deepcopy(answer)
    place = broken
    for _ in range(data.draw(st.integers(0, 2))):
        inner = [name for name, value in place.items() if isinstance(value, dict) and value]
        if inner:
            place = place[data.draw(st.sampled_from(sorted(inner)))]
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(json_values)
    outcome = transferred(broken) if answer is TRANSFER else quoted(broken)
    assert isinstance(outcome, Accepted | Unknown)


# -- transfers heard


def test_a_transfer_is_read_exactly_and_its_address_stays_out_of_every_repr() -> None:
    transfer: Transfer = value_of(transferred(TRANSFER))
    assert (transfer.id, transfer.quote_id, transfer.customer_id) == (TRANSFER_ID, QUOTE_ID, CUSTOMER_ID)
    assert (transfer.status, transfer.status_text) == ("created", "created")
    assert transfer.created_at == datetime(2025, 1, 1, tzinfo=UTC)
    assert transfer.metadata == {"installation": "i-1", "payout": "po-1", "attempt": "at-1"}
    assert transfer.instructions is not None
    assert transfer.instructions.address == ADDRESS
    assert transfer.instructions.amount == Money(1_000_000_000, "USDT")
    assert transfer.credit == Money(92050, "EUR")
    assert transfer.destination is not None
    assert transfer.destination["iban"] == "GR1601101250000000012300695"
    assert (transfer.rate, transfer.actual_payout, transfer.problems) == ("0.922", None, ())
    assert json.loads(transfer.raw) == TRANSFER
    for secret in (ADDRESS, "GR16", "Nikos"):
        assert secret not in repr(transfer)


def test_instructions_destination_fees_and_rate_may_be_null() -> None:
    nulls = dict.fromkeys(("source_deposit_instructions", "destination", "fees", "exchange_rate", "metadata"))
    transfer: Transfer = value_of(transferred(TRANSFER | nulls))
    assert (transfer.instructions, transfer.destination, transfer.credit) == (None, None, None)
    assert (transfer.fees, transfer.rate, transfer.metadata) == ((), None, {})


def test_a_transfer_may_come_in_camel_case_wrapped_and_as_201() -> None:
    camel = {
        "id": TRANSFER_ID,
        "customerId": CUSTOMER_ID,
        "quoteId": QUOTE_ID,
        "status": "PAYMENT_STATUS_COMPLETED",
        "sourceDepositInstructions": {
            "walletAddress": "sandbox:solana:ab12",
            "currency": "usdc",
            "network": "Solana",
            "amount": 9.71,
        },
        "destination": {"amount": 8.5, "currency": "eur", "network": "bank", "accountHolderName": "A"},
        "actualPayout": {"amount": "8.50", "amountMinor": 850, "currency": "EUR"},
    }
    transfer: Transfer = value_of(transferred(status(201, {"transfer": camel})))
    assert transfer.status == "completed"
    assert transfer.status_text == "PAYMENT_STATUS_COMPLETED"
    assert transfer.instructions is not None
    assert (transfer.instructions.currency, transfer.instructions.network) == ("USDC", "solana")
    assert transfer.destination is not None
    assert transfer.destination["account_holder_name"] == "A"
    assert transfer.actual_payout == Money(850, "EUR")
    assert transfer.created_at is None


@pytest.mark.parametrize(
    ("text", "normal"),
    [("FUNDS_COLLECTED", "funds_collected"), ("TRANSFER_STATUS_FAILED", "failed"), ("in_progress", "in_progress"),
     ("payment_status_payment_submitted", "payment_submitted"), ("PAYMENT_SUBMITTED", "payment_submitted"),
     ("something_new", "something_new")],
)  # fmt: skip
def test_statuses_have_one_spelling(text: str, normal: str) -> None:
    transfer: Transfer = value_of(transferred(changed(TRANSFER, status=text)))
    assert (transfer.status, transfer.status_text) == (normal, text)


@pytest.mark.parametrize(
    "changes",
    [{"id": None}, {"id": 5}, {"status": None}, {"status": []}, {"source_deposit_instructions": []},
     {"source_deposit_instructions": "soon"}, {"destination": 5}, {"metadata": []}, {"created_at": "soon"},
     {"exchange_rate": {}}, {"fees": 5}, {"quote_id": {}}],
)  # fmt: skip
def test_a_transfer_without_identity_or_against_its_types_is_unknown(changes: dict[str, Any]) -> None:
    outcome = transferred(changed(TRANSFER, **changes))
    assert isinstance(outcome, Unknown)
    assert outcome.reason.startswith("incomplete answer")


def test_amounts_that_cannot_be_exact_are_none_and_named_but_the_transfer_is_known() -> None:
    answer = changed(TRANSFER, actual_payout={"amount": "1.00", "amount_minor": 101, "currency": "EUR"})
    answer["destination"]["currency"] = "NGN"
    answer["source_deposit_instructions"]["amount"] = "0.0000001"
    transfer: Transfer = value_of(transferred(answer))
    assert (transfer.credit, transfer.instructions, transfer.actual_payout) == (None, None, None)
    assert len(transfer.problems) == 4
    assert ADDRESS not in str(transfer.problems)


# -- refusals and unknowns


def test_a_refusal_keeps_the_support_id_and_drops_what_we_sent() -> None:
    words = {
        "statusCode": 400,
        "error": "Bad Request",
        "message": f"Nikos Papadopoulos at GR16 0110 1250 0000 0001 2300 695 with {API_KEY}",
        "code": "INVALID_FIELDS",
        "fields": [{"field": "destination.iban", "message": "GR1601101250000000012300695 is closed"}],
    }
    outcome = transferred(status(400, words, x_correlation_id="c-9"))
    assert isinstance(outcome, Declined)
    assert outcome.message == "[removed] at [removed] with [removed]"
    assert outcome.fields == {"destination.iban": "[removed] is closed"}
    assert (outcome.code, outcome.correlation_id) == ("INVALID_FIELDS", "c-9")


def test_a_conflict_on_a_transfer_is_unknown_because_the_first_request_may_be_under_way() -> None:
    assert isinstance(transferred(status(409)), Unknown)
    assert isinstance(quoted(status(409)), Declined)


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504])
def test_not_now_and_server_errors_are_unknown(code: int) -> None:
    outcome = transferred(status(code, {"message": "x"}, retry_after="7", x_correlation_id="c-9"))
    assert outcome == Unknown(f"HTTP {code}: x", retry_after_s=7, correlation_id="c-9", status=code)


@pytest.mark.parametrize("body", [b"", b"[]", b"OK", b'{"id":"x"', b"null"])
def test_a_2xx_that_is_no_transfer_is_unknown(body: bytes) -> None:
    outcome = transferred(body)
    assert isinstance(outcome, Unknown)
    assert outcome.reason.startswith("incomplete answer")


def test_a_timeout_is_unknown() -> None:
    def silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("no answer", request=request)

    assert transferred(silent) == Unknown("ReadTimeout: no complete answer in time")


# -- extras


def test_a_transfer_is_read_by_its_id_and_a_404_is_only_declined() -> None:
    provider = Provider(TRANSFER, status(404, {"message": "no"}))
    client = stables(provider)
    assert value_of(client.read_transfer(TRANSFER_ID)).id == TRANSFER_ID
    assert provider.requests[0].url.path == f"/api/v1/transfers/{TRANSFER_ID}"
    outcome = client.read_transfer(TRANSFER_ID)
    assert isinstance(outcome, Declined)
    assert outcome.status == 404


@pytest.mark.parametrize("name", ["read_transfer", "validate_payment_method", "simulate_deposit"])
def test_extras_are_not_possible_while_they_are_off(name: str) -> None:
    provider = Provider()
    with pytest.raises(NotPossible, match="STABLES_EXTRAS=on"):
        stables(provider, extras=False).call(name, path={"id": "x"})
    assert provider.requests == []


def test_a_preview_is_an_extra() -> None:
    provider = Provider(changed(QUOTE, quote_id=None, status="preview"))
    quote: Quote = value_of(stables(provider).create_quote(a_quote_request(preview=True), key=KEY))
    assert provider.sent["preview"] is True
    assert (quote.id, quote.status) == ("", "preview")
    with pytest.raises(NotPossible, match="STABLES_EXTRAS=on"):
        stables(provider, extras=False).create_quote(a_quote_request(preview=True), key=KEY)


def test_a_deposit_is_simulated_in_the_sandbox_only() -> None:
    answer = {"transfer_id": TRANSFER_ID, "simulation_id": "s", "scenario": "x", "deposit_status": "COMPLETED"}
    provider = Provider(status(202, answer))
    deposit = value_of(stables(provider).simulate_deposit(TRANSFER_ID, key=KEY))
    assert (deposit.transfer_id, deposit.simulation_id, deposit.status) == (TRANSFER_ID, "s", "COMPLETED")
    assert provider.requests[0].url.path == f"/api/v1/transfers/{TRANSFER_ID}/sandbox/simulate-deposit"
    assert provider.requests[0].content == b""
    with pytest.raises(NotPossible, match="sandbox"):
        stables(provider, sandbox=False).simulate_deposit(TRANSFER_ID, key=KEY)
    assert len(provider.requests) == 1


def test_bank_details_are_checked_by_the_provider() -> None:
    answer = {"valid": False, "errors": [{"field": "iban", "message": "bad", "code": "INVALID_FIELDS"}]}
    provider = Provider(answer, {"valid": "yes"})
    client = stables(provider)
    check = value_of(client.validate_bank(BANK))
    assert (check.valid, check.errors) == (False, (("iban", "INVALID_FIELDS", "bad"),))
    assert isinstance(client.validate_bank(BANK), Unknown)
