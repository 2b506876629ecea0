"""A stand-in for Stables behind httpx.MockTransport, and sample requests and answers in the documented
form.

It checks every request it gets against the provider's OpenAPI and our overlay, so no test can send what is
not documented without saying so.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from checkout.providers.outcome import Accepted, Outcome
from checkout.providers.stables import Stables
from checkout.providers.stables_requests import QuoteRequest, TransferRequest
from checkout.providers.transport import Wire, build_client
from checkout.rules.money import Money
from tests.contracts.openapi import loaded

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
API_KEY = "sti_test_abc_secretkey"
KEY = "12bd9e7c-02fe-4ea9-84e2-52264aaf8790"
CUSTOMER_ID = "550e8400-e29b-41d4-a716-446655440001"
QUOTE_ID = "550e8400-e29b-41d4-a716-446655440000"
TRANSFER_ID = "550e8400-e29b-41d4-a716-446655440002"
ADDRESS = "0x1234567890abcdef1234567890abcdef12345678"

#: The quickstart's quote, in the OpenAPI's letter case.
QUOTE: dict[str, Any] = {
    "quote_id": QUOTE_ID,
    "source": {"currency": "usdt", "network": "polygon", "amount": "1000.00"},
    "destination": {"currency": "eur", "network": "swift", "amount": "920.50"},
    "fees": {
        "fx_fee": {"amount": "0.50", "currency": "eur"},
        "integrator_fee": {"amount": "0.00", "currency": "eur"},
        "platform_fee": {"amount": "1.00", "currency": "usd"},
        "payment_method_fee": {"amount": "0", "currency": "eur"},
        "total_fee": {"amount": "1.50", "currency": "eur"},
    },
    "exchange_rate": 0.922,
    "expires_at": "2026-11-21T12:05:00.123Z",
    "created_at": "2026-11-21T12:00:00Z",
    "status": "active",
}

#: The transfers page's answer.
TRANSFER: dict[str, Any] = {
    "id": TRANSFER_ID,
    "tenant_id": "550e8400-e29b-41d4-a716-446655440003",
    "customer_id": CUSTOMER_ID,
    "quote_id": QUOTE_ID,
    "type": "offramp",
    "status": "created",
    "created_at": "2025-01-01T00:00:00Z",
    "updated_at": "2025-01-01T00:00:00Z",
    "metadata": {"installation": "i-1", "payout": "po-1", "attempt": "at-1"},
    "source_deposit_instructions": {
        "wallet_address": ADDRESS,
        "currency": "USDT",
        "network": "polygon",
        "amount": "1000.00",
    },
    "destination": {
        "amount": "920.50",
        "currency": "EUR",
        "network": "swift",
        "account_holder_name": "Nikos Papadopoulos",
        "iban": "GR1601101250000000012300695",
        "bank_name": "National Bank of Greece",
        "bank_country": "GR",
        "swift_code": "ETHNGRAA",
    },
    "fees": QUOTE["fees"],
    "exchange_rate": 0.922,
}

BANK: dict[str, object] = {
    "account_holder_name": "Nikos Papadopoulos",
    "iban": "GR1601101250000000012300695",
    "bank_name": "National Bank of Greece",
    "bank_country": "GR",
    "currency": "EUR",
    "swift_code": "ETHNGRAA",
    "recipient_type": "individual",
    "date_of_birth": "1980-05-06",
    "address": {"street": "Odos 1", "city": "Athens", "state": "Attica", "postal_code": "10431", "country": "GR"},
}

Handler = Callable[[httpx.Request], httpx.Response]


class Provider:
    """Answers each request in turn as told (the last answer again and again) and keeps the requests."""

    def __init__(self, *answers: Handler | object, documented: bool = True) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = list(answers) or [{}]
        self._documented = documented

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self._documented:
            found = loaded().problems(
                {
                    "method": request.method,
                    "path": request.url.path,
                    "query": request.url.query,
                    "headers": request.headers,
                    "body": request.content,
                }
            )
            assert found == []
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if callable(answer):
            response: httpx.Response = answer(request)
            return response
        if isinstance(answer, bytes):
            return httpx.Response(200, content=answer)
        return httpx.Response(200, json=answer)

    @property
    def sent(self) -> dict[str, Any]:
        """The last request's body."""
        body: dict[str, Any] = json.loads(self.requests[-1].content)
        return body


def stables(provider: Provider, *, extras: bool = True, sandbox: bool = True) -> Stables:
    timeout = timedelta(seconds=2)
    http = build_client("https://api.test", timeout=timeout, transport=httpx.MockTransport(provider))
    return Stables(Wire(http, timeout=timeout), api_key=API_KEY, extras=extras, sandbox=sandbox, clock=lambda: NOW)


def status(code: int, body: object = None, **headers: str) -> Handler:
    """An answer with a status of its own."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _request: httpx.Response(code, json={} if body is None else body, headers=named)


def a_quote_request(**changes: Any) -> QuoteRequest:
    plain: dict[str, Any] = {
        "source": Money(1_000_000_000, "USDT"),
        "source_network": "polygon",
        "currency": "EUR",
        "country": "GR",
        "network": "swift",
    }
    return QuoteRequest(**plain | changes)


def a_transfer_request(**changes: Any) -> TransferRequest:
    plain: dict[str, Any] = {
        "quote_id": QUOTE_ID,
        "customer_id": CUSTOMER_ID,
        "bank": BANK,
        "purpose_code": "MERCHANT_SETTLEMENT",
        "metadata": {"installation": "i-1", "payout": "po-1", "attempt": "at-1"},
    }
    return TransferRequest(**plain | changes)


def value_of(outcome: Outcome[Any]) -> Any:
    assert isinstance(outcome, Accepted), outcome
    return outcome.value
