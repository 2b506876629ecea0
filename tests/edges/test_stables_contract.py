"""The contract check itself: accepts what the document says, names what breaks it, shows no values."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contracts.openapi import check_exchanges, loaded

IDENT = "6f1d2c3b-4a59-4e68-8b7c-9d0e1f2a3b4c"
KEY = {"Idempotency-Key": "12bd9e7c-02fe-4ea9-84e2-52264aaf8790"}
QUOTE = {
    "source": {"currency": "USDC", "network": "polygon", "amount": "9.71"},
    "destination": {"currency": "EUR", "country": "DE", "network": "bank"},
}
CUSTOMER = {
    "customer_id": IDENT,
    "external_customer_id": None,
    "customer_type": "business",
    "email": "ops@shop.example",
    "created_at": "2026-11-21T12:00:00Z",
    "updated_at": "2026-11-21T12:00:00Z",
    "verification_levels": [{"level": "business_base", "status": "approved"}],
}


def exchange(method: str, path: str, **parts: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {"method": method, "path": path, "query": "", "headers": {}, "body": ""}
    whole |= {"status": None, "answer": None}
    whole |= parts
    for part in ("body", "answer"):
        if isinstance(whole[part], dict):
            whole[part] = json.dumps(whole[part])
    return whole


def problems(*parts: Any, overlay: bool = True, **named: Any) -> list[str]:
    return [one.split(": ", 1)[1] for one in loaded(overlay=overlay).problems(exchange(*parts, **named))]


def test_what_the_document_says_passes_and_is_counted() -> None:
    read = exchange("GET", f"/api/v1/customers/{IDENT}", status=200, answer=CUSTOMER)
    quote = exchange("POST", "/api/v1/quotes", headers=KEY, body=QUOTE)
    counted = check_exchanges([read, quote, quote], overlay=False)
    assert counted == {"GET /api/v1/customers/{customerId}": 1, "POST /api/v1/quotes": 2}


def test_an_unknown_operation_is_named() -> None:
    assert problems("GET", "/api/v1/transfers/x", overlay=False) == ["the document has no such operation"]
    with pytest.raises(AssertionError, match="no such operation"):
        check_exchanges([exchange("DELETE", "/api/v1/quotes")])


def test_a_missing_key_and_one_that_is_no_uuid_are_named() -> None:
    assert problems("POST", "/api/v1/quotes", body=QUOTE) == ["the header parameter idempotency-key is missing"]
    bad = problems("POST", "/api/v1/quotes", headers={"idempotency-key": "mine"}, body=QUOTE)
    assert any("idempotency-key breaks pattern" in one for one in bad)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"extra": 1}, "breaks additionalProperties at itself (extra)"),
        (
            {"source": {"currency": "USDC", "network": "polygon", "amount": 9.71}},
            "breaks type at source.amount",
        ),
        (
            {"source": {"currency": "usdc", "network": "polygon", "amount": "1"}},
            "breaks enum at source.currency",
        ),
        ({"source": {"currency": "USDC", "amount": "1"}}, "breaks required at source (network)"),
        ({"metadata": {"n": 5}}, "breaks type at metadata.n"),
    ],
)
def test_a_body_outside_the_document_is_named(change: dict[str, Any], problem: str) -> None:
    assert problems("POST", "/api/v1/quotes", headers=KEY, body=QUOTE | change) == [f"the request body {problem}"]


def test_query_parameters_are_held_to_the_document() -> None:
    found = problems("GET", "/api/v1/transfers", query="status=created&page_size=500&mine=1&page_size=1")
    assert found == [
        "the query parameter page_size is given 2 times",
        "the query parameter mine is not in the document",
        "the query parameter status breaks enum at itself",
        "the query parameter type is missing",
        "the query parameter page_size breaks maximum at itself",
    ]


def test_a_body_where_none_belongs_and_none_where_one_belongs_are_named() -> None:
    path = f"/api/v1/webhooks/{IDENT}"
    assert problems("DELETE", path, headers=KEY, body="{}") == ["a body was sent, and the document has none"]
    assert problems("POST", "/api/v1/quotes", headers=KEY) == ["the body is missing"]
    assert problems("POST", "/api/v1/quotes", headers=KEY, body="{") == ["the request body is not JSON"]


def test_answers_are_held_to_the_document() -> None:
    path = f"/api/v1/customers/{IDENT}"
    assert problems("GET", path, status=204, answer="") == ["the status 204 is not in the document"]
    assert problems("GET", path, status=200, answer="<html>") == ["the answer is not JSON"]
    found = problems("GET", path, status=200, answer=CUSTOMER | {"ssn": "123-45", "email": "nobody"})
    assert "the answer 200 breaks additionalProperties at itself (ssn)" in found
    assert not any("123-45" in one or "nobody" in one for one in found)


@pytest.mark.parametrize(
    "error",
    [
        {"statusCode": 404, "error": "Not Found", "message": "no"},
        {
            "statusCode": 404,
            "error": "Not Found",
            "message": "no",
            "code": "GONE",
            "fields": [{"message": "x"}],
        },
        {"error": {"code": "not_found", "message": "no", "details": {}}},
    ],
)
def test_every_known_form_of_an_error_is_an_answer(error: dict[str, Any]) -> None:
    path = f"/api/v1/customers/{IDENT}"
    assert problems("GET", path, status=404, answer=error) == []
    assert problems("GET", path, status=429, answer=error) == []
    assert problems("GET", path, status=429, answer=error, overlay=False) != []


def test_a_killed_answer_and_a_body_that_was_cut_are_not_judged() -> None:
    path = f"/api/v1/customers/{IDENT}"
    assert problems("GET", path, status=None, answer="half of i") == []
    assert problems("GET", path, status=200, answer="x" * 65_536) == []


def test_the_extras_pass_with_the_overlay_only() -> None:
    transfer = {
        "quote_id": IDENT,
        "customer_id": IDENT,
        "purpose_code": "MERCHANT_SETTLEMENT",
        "destination": {
            "type": "bank",
            "account_holder_name": "A",
            "bank_name": "B",
            "bank_country": "DE",
            "currency": "EUR",
            "iban": "DE89",
            "recipient_type": "business",
        },
    }
    assert problems("POST", "/api/v1/transfer", headers=KEY, body=transfer) == []
    published = problems("POST", "/api/v1/transfer", headers=KEY, body=transfer, overlay=False)
    assert any("(purpose_code)" in one for one in published)
    assert any("(recipient_type)" in one for one in published)
    del transfer["purpose_code"]
    assert problems("POST", "/api/v1/transfer", headers=KEY, body=transfer) == [
        "the request body breaks required at itself (purpose_code)"
    ]
    simulate = f"/api/v1/transfers/{IDENT}/sandbox/simulate-deposit"
    assert problems("POST", simulate, headers=KEY, status=202, answer={"transfer_id": IDENT}) == []
    assert problems("GET", "/api/v1/webhooks/deliveries", status=200, answer={"deliveries": []}) == []
    assert problems("GET", "/api/v1/transfers", query="status=IN_PROGRESS&type=TRANSFER_TYPE_OFFRAMP") == []
